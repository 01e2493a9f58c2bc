/** Carries the token buckets of all virtual hosts to the next generation, so that a restart is no way around a limit. */
import type { VirtualHost } from './types.ts'
import { allLimiters } from './virtual-host.ts'

/** Plain data: tokens by limit and calling application. */
export function exportLimits(hosts: Iterable<VirtualHost>, now: number): Record<string, Record<string, number>> {
  const state: Record<string, Record<string, number>> = {}
  for (const host of hosts) {
    for (const limiter of allLimiters(host)) state[limiter.id] = limiter.exportState(now)
  }
  return state
}

/** Tolerates anything; limits that do not exist any more are dropped. */
export function importLimits(hosts: Iterable<VirtualHost>, state: unknown, now: number): void {
  if (typeof state !== 'object' || state === null) return
  const byId = new Map<string, unknown>(Object.entries(state))
  for (const host of hosts) {
    for (const limiter of allLimiters(host)) limiter.importState(byId.get(limiter.id), now)
  }
}
