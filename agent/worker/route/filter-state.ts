/** Carries what filters remember (token buckets) to the next generation, so that a restart is no way around a limit. */
import type { VirtualHost } from './types.ts'
import { statefulFilters } from './virtual-host.ts'

/** Plain data: what each filter with a state remembers, by its state id. */
export function exportFilters(hosts: Iterable<VirtualHost>, now: number): Record<string, unknown> {
  const states: Record<string, unknown> = {}
  for (const host of hosts) {
    for (const filter of statefulFilters(host)) states[filter.stateId] = filter.exportState(now)
  }
  return states
}

/** Tolerates anything; states of filters that do not exist any more are dropped. */
export function importFilters(hosts: Iterable<VirtualHost>, states: unknown, now: number): void {
  if (typeof states !== 'object' || states === null) return
  const byId = new Map<string, unknown>(Object.entries(states))
  for (const host of hosts) {
    for (const filter of statefulFilters(host)) filter.importState(byId.get(filter.stateId), now)
  }
}
