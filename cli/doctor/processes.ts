/** What the watchdog says: who runs, which release, how much memory, where callers would go without the agent. */
import type { AgentConfig } from '../../agent/control/config/types.ts'
import type { GenerationState, WatchdogState } from '../../contracts/handoff.ts'
import { formatHostPort } from '../../agent/control/config/scalars.ts'
import type { Facts, Heard } from './facts.ts'
import type { Finding } from './finding.ts'

/** Of `watchdog.maxMemory`, from where on a process is about to be replaced. */
const tightShare = 0.85

export const servingOf = (state: WatchdogState): GenerationState | undefined =>
  state.generations.find(({ phase }) => phase === 'serving')

export function watchdogFindings({ watchdog, config, command }: Facts): Finding[] {
  if (watchdog.kind === 'silence') return [silent('watchdog', watchdog, command('doctor'), startWord(config))]
  const state = watchdog.value
  const found: Finding[] = []
  const generations = command('generations')
  const serving = servingOf(state)
  if (state.relay.isRelaying)
    found.push({
      link: 'watchdog',
      state: 'bad',
      says: `no generation is healthy: the watchdog relays new connections, tier ${state.relay.tier}`,
      proof: lastReport(state),
      next: `${generations}; after a bad release ${command('rollback')}`,
    })
  else if (serving === undefined)
    found.push({
      link: 'watchdog',
      state: 'bad',
      says: `no generation serves: ${state.generations.map(({ generation, phase, waits }) => `${generation} is ${phase}${waits.length === 0 ? '' : `, waits for ${waits.join(', ')}`}`).join('; ') || 'there is none'}`,
      proof: lastReport(state),
      next: generations,
    })
  if (state.handover !== 'on')
    found.push({
      link: 'watchdog',
      state: 'bad',
      says: 'sockets cannot be handed over: a restart would refuse connections',
      proof: `watchdog ${state.pid} says: ${state.handover}`,
      next: 'docs/continuity.md; use the Node that the release brings along',
    })
  const [report] = state.reports
  if (report?.outcome === 'failed')
    found.push({
      link: 'watchdog',
      state: 'warning',
      says: `the newest ${report.kind} failed, the generation before serves on`,
      proof: lastReport(state),
      next: generations,
    })
  for (const child of serving?.children ?? [])
    if (child.restarts > 0)
      found.push({
        link: 'watchdog',
        state: 'warning',
        says: `${child.role} ${child.index} was restarted ${child.restarts} times in this generation`,
        proof: `generation ${serving!.generation} of watchdog ${state.pid}`,
        next: `${generations}; the log says why`,
      })
  if (found.length > 0) return found
  const processes = serving!.children.length
  return [{ link: 'watchdog', state: 'good', says: `watchdog ${state.pid} answers, ${processes} processes serve` }]
}

function lastReport({ reports: [report] }: WatchdogState): string {
  if (report === undefined) return 'no restart report yet'
  return [
    `${report.kind} to ${report.to}: ${report.outcome}: ${report.cause ?? '-'}`,
    ...report.evidence.slice(-3),
  ].join('\n')
}

function startWord(config: AgentConfig | undefined): string {
  const unit = config?.role === 'center' ? 'hostmesh-center' : 'hostmesh'
  return `systemctl status ${unit}; journalctl -u ${unit} -n 100`
}

export function silent(
  link: 'watchdog' | 'control',
  heard: Extract<Heard<unknown>, { kind: 'silence' }>,
  doctor: string,
  next: string,
): Finding {
  const proof = heard.why
  if (!heard.isDenied) return { link, state: 'bad', says: 'it does not answer', proof, next }
  return { link, state: 'unknown', says: 'this user may not ask it', proof, next: `sudo ${doctor}` }
}

/** @param own name of the release that this command belongs to. */
export function releaseFindings(state: WatchdogState, own: string, { command }: Facts): Finding[] {
  const running = servingOf(state)?.release
  if (running === undefined) return []
  if (running === own) return [{ link: 'release', state: 'good', says: `${own} runs` }]
  return [
    {
      link: 'release',
      state: 'warning',
      says: `${running} runs, this command belongs to ${own}`,
      proof: `the serving generation of watchdog ${state.pid}`,
      next: `${command('upgrade')}, or use the command of the release that runs`,
    },
  ]
}

export function memoryFindings(state: WatchdogState, config: AgentConfig, { command }: Facts): Finding[] {
  const most = config.watchdog.maxMemory
  const children = servingOf(state)?.children ?? []
  const big = children.filter(({ rssBytes }) => rssBytes > most * tightShare)
  if (big.length > 0)
    return big.map((child) => ({
      link: 'memory',
      proof: `VmRSS of process ${child.pid}`,
      state: 'warning',
      says: `${child.role} ${child.index} has ${mb(child.rssBytes)}, at ${mb(most)} it is replaced`,
      next: `${command('top')}; watchdog.maxMemory`,
    }))
  const sum = children.reduce((all, { rssBytes }) => all + rssBytes, 0)
  if (children.length === 0) return []
  return [
    { link: 'memory', state: 'good', says: `${mb(sum)} in ${children.length} processes, each may have ${mb(most)}` },
  ]
}

const mb = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`

/** Whether callers would be served if the agent died now. */
export function relayFindings(state: WatchdogState, config: AgentConfig, { command }: Facts): Finding[] {
  const { relay } = state
  if (relay.targetsProblem !== undefined)
    return [
      {
        link: 'relay targets',
        state: 'bad',
        says: `nobody would serve if the agent died now: ${relay.targetsProblem}`,
        proof: `watchdog ${state.pid} says so of its relay-targets.json`,
        next: `${command('status')}; the state directory must be writable`,
      },
    ]
  const wanted = config.center.addresses.map(formatHostPort)
  const known = new Set(relay.centers.map(({ address }) => address))
  const missing = wanted.filter((address) => !known.has(address))
  const unserved = Object.entries(relay.listeners).filter(([, tier]) => tier === 'none')
  const found: Finding[] = []
  if (missing.length > 0)
    found.push({
      link: 'relay targets',
      state: 'bad',
      says: `they are older than the configuration: center ${missing.join(', ')} is not among them`,
      proof: `the watchdog knows ${[...known].join(', ') || 'no center'}`,
      next: command('upgrade'),
    })
  if (unserved.length > 0)
    found.push({
      link: 'relay targets',
      state: 'warning',
      says: `${unserved.length} ports would be served by nobody if the agent died now: ${unserved
        .slice(0, 5)
        .map(([name]) => name)
        .join(', ')}`,
      proof: `watchdog ${state.pid} knows no next tier for them`,
      next:
        wanted.length === 0
          ? 'set center.addresses'
          : `${command('generations')}; MeshPolicy fallback of these services`,
    })
  if (found.length > 0) return found
  const written = relay.targetsAgeMs < 0 ? '' : `, written ${Math.round(relay.targetsAgeMs / 1000)} s ago`
  return [
    {
      link: 'relay targets',
      state: 'good',
      says: `${Object.keys(relay.listeners).length} ports have a next tier${written}`,
    },
  ]
}
