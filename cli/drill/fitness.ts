/**
 * Whether a drill may run on this host now. On a host that is not whole, or whose next tier has nothing to go by, it
 * would make an outage of a fault.
 */
import { kindOf } from '../../agent/control/kinds/registries.ts'
import type { AgentConfig } from '../../agent/control/config/types.ts'
import type { WatchdogState } from '../../contracts/handoff.ts'
import type { Drill } from './drill.ts'
import { isWhole } from './wholeness.ts'

/** The first reason not to, for people; undefined = go on. */
export function reasonNotTo(drill: Drill, config: AgentConfig, state: WatchdogState): string | undefined {
  if (drill.role === 'agent' && config.outbound.http === 'off')
    return 'outbound.http is off: there is no port to call the probe service through, so nothing could be measured'
  if (drill.role === 'agent' && !config.registries.some((section) => kindOf(section).takesRegistrations(section)))
    return 'no registry takes registrations: the probe service could not be announced, so nothing could be measured'
  if (!isWhole(state)) return 'the host is not whole now: a generation starts, drains or is relayed for'
  if (drill.isReplaced !== undefined && state.heldShards === 0)
    return `the watchdog holds no listening sockets (handover ${state.handover}): callers would be refused`
  if (drill.needsNextTier && state.relay.targetsProblem !== undefined)
    return `nobody would serve meanwhile: ${state.relay.targetsProblem}`
  return undefined
}

/** Who serves while the agent does not: centers with their state, and how many ports lead where. */
export function nextTier(state: WatchdogState): string {
  const { centers, listeners } = state.relay
  const said = centers.map((center) => `${center.address}${center.isUsable ? '' : ' (does not answer now)'}`)
  const ports = { center: 0, direct: 0, none: 0 }
  for (const tier of Object.values(listeners)) ports[tier]++
  const counts = Object.entries(ports)
    .filter(([, count]) => count > 0)
    .map(([tier, count]) => `${count} ${tier === 'none' ? 'by nobody' : tier}`)
  return `${said.length === 0 ? 'no center is set' : `center ${said.join(', ')}`}; listeners: ${counts.join(', ') || 'none'}`
}
