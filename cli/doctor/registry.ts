/** The registries: do they let us in, and do they tell others of the applications of this host. */
import { createAdapters } from '../../agent/control/kinds/registries.ts'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import { serviceKey } from '../../contracts/endpoint.ts'
import { describeError } from '../../contracts/errors.ts'
import type { RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { checkOnline } from '../commands/check-online.ts'
import { quietDeps } from '../quiet-deps.ts'
import type { Facts, Heard, Pages, RegistrationRow } from './facts.ts'
import type { Finding } from './finding.ts'

const answerTimeoutMs = 2500
/** Applications whose record is looked for. */
const mostLookedUp = 20

/** What each server says now, and what control has heard. */
export async function registryFindings(
  config: AgentConfig,
  pages: Heard<Pages>,
  { command }: Facts,
): Promise<Finding[]> {
  if (config.registries.length === 0) return [{ link: 'registry', state: 'skipped', says: 'no registry is configured' }]
  const next = command('check --online')
  const asked = await checkOnline(config, answerTimeoutMs)
  const bad = asked.flatMap(({ registry, server, question, problem, ms }): Finding[] =>
    problem === undefined
      ? []
      : [
          {
            link: 'registry',
            state: 'bad',
            says: `${registry}: ${problem}`,
            proof: `${server}: ${question}: no, after ${ms} ms`,
            next: `${adviceFor(problem)}; then ${next}`,
          },
        ],
  )
  const known = pages.kind === 'answer' ? pages.value.info.registries : []
  const apart = known
    .filter(({ connected, problem }) => !connected || problem !== undefined)
    .filter(({ name }) => !asked.some((one) => one.registry === name && one.problem !== undefined))
    .map(({ name, problem }): Finding => ({
      link: 'registry',
      state: 'bad',
      says: `${name}: it answers here, and not to the agent: ${problem === undefined ? 'not connected' : `${problem.code}  ${problem.message}`}`,
      proof: '/server_info',
      next: command('status'),
    }))
  if (bad.length + apart.length > 0) return [...bad, ...apart]
  const servers = new Set(asked.map(({ server }) => server))
  const slowest = Math.max(...asked.map(({ ms }) => ms))
  return [{ link: 'registry', state: 'good', says: `${[...servers].join(', ')} let us in, in ${slowest} ms at most` }]
}

function adviceFor(problem: string): string {
  if (problem.startsWith('E_REGISTRY_DENIED')) return 'correct the files with its user name and password'
  if (problem.startsWith('E_CONFIG_UNREADABLE')) return 'give the file to the user of the agent'
  return 'is it running, and does a firewall stand between'
}

/** Whether the record that others read leads to the inbound port of this host. */
export async function announcedFindings(
  config: AgentConfig,
  { registrations }: Pages,
  { command }: Facts,
): Promise<Finding[]> {
  const wanted = registrations.filter(({ state, inboundPort }) => state === 'registered' && inboundPort !== undefined)
  if (wanted.length === 0) return [{ link: 'announced', state: 'skipped', says: 'nothing of this host is announced' }]
  let adapters: RegistryAdapter[] = []
  try {
    adapters = await createAdapters(config, quietDeps, () => false)
    for (const adapter of adapters) adapter.start()
    const found = await Promise.all(
      wanted.slice(0, mostLookedUp).map((row) => announced(config, row, adapters, command)),
    )
    const bad = found.flat()
    if (bad.length > 0) return bad
    return [
      {
        link: 'announced',
        state: 'good',
        says: `others are told of each inbound port at ${config.host.address}, ${Math.min(wanted.length, mostLookedUp)} looked up`,
      },
    ]
  } catch (error) {
    const says = 'no registry could be asked what others are told'
    return [{ link: 'announced', state: 'unknown', says, proof: describeError(error), next: command('check --online') }]
  } finally {
    await Promise.all(adapters.map((adapter) => adapter.close()))
  }
}

async function announced(
  config: AgentConfig,
  { application, inboundPort }: RegistrationRow,
  adapters: readonly RegistryAdapter[],
  command: Facts['command'],
): Promise<Finding[]> {
  const heard: string[] = []
  const at = `${config.host.address}:${inboundPort}`
  const isThere = await Promise.any(
    adapters.map(async (adapter) => {
      const addresses = await firstEndpoints(adapter, application.service)
      heard.push(`${adapter.name}: ${addresses.slice(0, 5).join(', ') || 'no instance'}`)
      if (!addresses.includes(at)) throw new Error('not there')
      return true
    }),
  ).catch(() => false)
  if (isThere) return []
  return [
    {
      link: 'announced',
      state: 'bad',
      says: `${serviceKey(application.service)}: no registry tells others of ${at}`,
      proof: heard.join('; ') || 'no registry answered in time',
      next: `${command('registrations')}; ${command('check --online')}`,
    },
  ]
}

/** The addresses of the first answer; rejects when there is none in time. */
function firstEndpoints(
  adapter: RegistryAdapter,
  service: RegistrationRow['application']['service'],
): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => end(() => reject(new Error('no answer'))), answerTimeoutMs)
    const subscription = adapter.subscribe(service, {
      onEndpoints: ({ endpoints }) => end(() => resolve(endpoints.map(({ address, port }) => `${address}:${port}`))),
      onStale: ({ message }) => end(() => reject(new Error(message))),
    })
    function end(settle: () => void): void {
      clearTimeout(timer)
      subscription.unsubscribe()
      settle()
    }
  })
}
