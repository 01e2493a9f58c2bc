/** What control says, held against what the kernel and the applications say. */
import type { PortRow } from '../../contracts/port-row.ts'
import { isRuleFault } from '../../contracts/rule-status.ts'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import { ListenerOwner } from '../../native/listener-owner.ts'
import { dial, inParallel } from './dial.ts'
import type { Facts, Pages } from './facts.ts'
import type { Finding } from './finding.ts'
import { silent } from './processes.ts'

const dialTimeoutMs = 1500
const width = 32
/** Of one kind that are told one by one; the rest is counted. */
const mostTold = 20

export function controlFindings({ pages, command }: Facts): Finding[] {
  if (pages.kind === 'silence') return [silent('control', pages, command('doctor'), command('generations'))]
  const { info, ready } = pages.value
  const next = command('status')
  const toldElsewhere = ownTexts(pages.value)
  const problems = ready.problems.filter((one) => !toldElsewhere.some((text) => one.includes(text)))
  const late = info.workers.filter(({ snapshotVersion }) => snapshotVersion !== info.snapshotVersion)
  const found: Finding[] = [
    ...ready.pending.map((one): Finding => ({
      link: 'control',
      state: 'bad',
      says: `not ready: it waits for ${one}`,
      proof: '/ready',
      next,
    })),
    ...problems.map((one): Finding => ({ link: 'control', state: 'bad', says: one, proof: '/ready', next })),
    ...late.map((worker): Finding => ({
      link: 'control',
      state: 'warning',
      says: `worker ${worker.index} has snapshot v${worker.snapshotVersion}, the newest is v${info.snapshotVersion}`,
      proof: worker.refused ?? '/server_info',
      next,
    })),
  ]
  if (found.length > 0) return found
  return [
    {
      link: 'control',
      state: 'good',
      says: `generation ${info.generation} is ready, ${info.workers.length} workers have its newest snapshot`,
    },
  ]
}

/** Texts of problems that other links tell with more words. */
function ownTexts({ info, ports, registrations }: Pages): string[] {
  return [
    'E_RULE_REJECTED',
    ...info.registries.flatMap(({ name, problem }) => [
      `${name}: not`,
      `${name}: never`,
      ...(problem === undefined ? [] : [problem.message]),
    ]),
    ...ports.flatMap(({ problem }) => problem ?? []),
    ...registrations.map(({ application }) => application.id),
  ]
}

export function ruleFindings({ rules }: Pages, { command }: Facts): Finding[] {
  const rejected = rules.filter(({ state }) => isRuleFault(state))
  if (rejected.length === 0) return [{ link: 'rules', state: 'good', says: `${rules.length} rules, none at fault` }]
  return capped(
    rejected.map((rule) => ({
      link: 'rules',
      state: 'bad',
      says: `${rule.kind} ${rule.namespace}/${rule.name} is ${rule.state}: ${rule.problems.map(({ path, message }) => `${path}: ${message}`).join('; ')}`,
      proof: `${rule.document}:${rule.line}`,
      next: command('rules list'),
    })),
  )
}

/** @param wall epoch ms. */
export function certificateFindings({ identities }: Pages, wall: number, { command }: Facts): Finding[] {
  if (identities.length === 0) return [{ link: 'certificates', state: 'skipped', says: 'this host has no identity' }]
  const bad = identities.filter(
    ({ state, notBefore }) => state !== 'good' || (notBefore !== undefined && notBefore > wall),
  )
  if (bad.length === 0)
    return [{ link: 'certificates', state: 'good', says: `${identities.length} certificates are good` }]
  return capped(
    bad.map(({ id, state, notBefore, notAfter, problem }) => ({
      link: 'certificates',
      state: state === 'late' ? 'warning' : 'bad',
      says:
        state === 'good'
          ? `${id}: begins in the future: is the clock right?`
          : `${id}: ${state}: ${problem ?? 'no reason is known'}`,
      proof: `from ${timeOf(notBefore)} to ${timeOf(notAfter)}`,
      next: command('certs'),
    })),
  )
}

const timeOf = (ms: number | undefined): string => (ms === undefined ? '-' : new Date(ms).toISOString())

/** Whether somebody listens at each port that callers are told, and whether it is the agent. */
export function portFindings(
  { ports }: Pages,
  config: AgentConfig,
  agent: number | undefined,
  facts: Facts,
): Finding[] {
  const { http } = config.outbound
  const shared: PortRow[] =
    http === 'off'
      ? []
      : [
          {
            direction: 'outbound',
            service: 'shared HTTP',
            address: http.host,
            port: http.port,
            protocol: 'http',
            state: '',
          },
        ]
  const relay: PortRow[] =
    config.relay === undefined
      ? []
      : [
          {
            direction: 'relay',
            service: 'hosts',
            address: config.relay.address.host,
            port: config.relay.address.port,
            protocol: 'http',
            state: '',
          },
        ]
  const rows = [...shared, ...relay, ...ports]
  const owner = new ListenerOwner()
  try {
    const bad = rows.flatMap((row): Finding[] => {
      const at = `${row.address}:${row.port}`
      const next = `${facts.command('ports')}; ss -ltnp 'sport = :${row.port}'`
      if (row.problem !== undefined)
        return [
          {
            link: 'ports',
            state: 'bad',
            says: `${row.direction} ${row.service}: ${row.problem}`,
            proof: '/ports',
            next,
          },
        ]
      const uid = owner.uidOf(row)
      if (uid === undefined)
        return [
          {
            link: 'ports',
            state: 'bad',
            says: `${row.direction} ${row.service}: nobody listens at ${at}`,
            proof: 'the sockets of the kernel',
            next,
          },
        ]
      if (agent !== undefined && uid !== agent && uid !== 0)
        return [
          {
            link: 'ports',
            state: 'bad',
            says: `${row.direction} ${row.service}: user ${uid} listens at ${at}, the agent is user ${agent}`,
            proof: 'the sockets of the kernel',
            next,
          },
        ]
      return []
    })
    if (bad.length > 0) return capped(bad)
    return [{ link: 'ports', state: 'good', says: `the agent listens at each of its ${rows.length} ports` }]
  } finally {
    owner.close()
  }
}

/** Whether each local application answers at its own port, is well, and is known to its registry. */
export async function applicationFindings({ registrations }: Pages, { command }: Facts): Promise<Finding[]> {
  if (registrations.length === 0)
    return [{ link: 'applications', state: 'skipped', says: 'no local application is registered' }]
  const next = command('registrations')
  const found = await inParallel(registrations, width, async (row): Promise<Finding[]> => {
    const { address, id, port } = row.application
    const problem = await dial(address, port, dialTimeoutMs)
    if (problem !== undefined)
      return [
        {
          link: 'applications',
          state: 'bad',
          says: `${id}: the application does not take connections: ${problem}`,
          proof: `connect ${address}:${port}`,
          next: `ss -ltnp 'sport = :${port}'; the log of the application`,
        },
      ]
    if (row.health === false)
      return [
        {
          link: 'applications',
          state: 'bad',
          says: `${id}: unhealthy: ${row.healthProblem ?? 'it says so itself'}`,
          proof: '/registrations',
          next,
        },
      ]
    if (row.state === 'failing')
      return [
        {
          link: 'applications',
          state: 'bad',
          says: [`${id}: its registry does not take it`, row.registrationProblem ?? []].flat().join(': '),
          proof: '/registrations',
          next: `${next}; ${command('check --online')}`,
        },
      ]
    if (row.waitsFor !== undefined)
      return [
        {
          link: 'applications',
          state: 'warning',
          says: `${id}: waits for ${row.waitsFor}`,
          proof: '/registrations',
          next,
        },
      ]
    return []
  })
  const bad = found.flat()
  if (bad.length > 0) return capped(bad)
  return [
    {
      link: 'applications',
      state: 'good',
      says: `each of ${registrations.length} answers at its own port and is healthy`,
    },
  ]
}

function capped(findings: readonly Finding[]): Finding[] {
  const [last] = findings.slice(mostTold)
  if (last === undefined) return [...findings]
  return [...findings.slice(0, mostTold), { ...last, says: `and ${findings.length - mostTold} more` }]
}
