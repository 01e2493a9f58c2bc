/**
 * Slow start: an endpoint that is new, or back from ejection, from a failed check or from an unhealthy report, gets its
 * share of traffic step by step.
 *
 * Why: a cold process (empty caches, unwarmed code) that gets its whole share at once answers slowly or falls over.
 * How: its weight grows in a straight line over `warmupMs`, from a tenth. Round robin, random, least request and peak
 * EWMA obey; the hashes do not. Cold start: the first set of a cluster does not warm up, since nobody else could carry
 * the traffic meanwhile.
 */
import type { LiveEndpoint } from './endpoint-state.ts'

/** Smallest share of its weight that a warming endpoint gets (Envoy: min_weight_percent 10). */
const minimumWarmShare = 0.1

export function startWarmup(state: LiveEndpoint, now: number, warmupMs: number): void {
  if (warmupMs > 0) state.warmUntil = now + warmupMs
}

/** Share of its weight that the endpoint may have now, 0.1..1. */
export function warmShare(state: LiveEndpoint, now: number, warmupMs: number): number {
  if (now >= state.warmUntil) return 1
  const share = 1 - (state.warmUntil - now) / warmupMs
  return share < minimumWarmShare ? minimumWarmShare : share
}
