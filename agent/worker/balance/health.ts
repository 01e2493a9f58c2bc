/**
 * Who may be used: the opinions of operator, registry, active checks and outlier detection about each endpoint, put
 * together.
 *
 * An endpoint that is disabled or has weight 0 is never used. One that the registry calls unhealthy is left out, unless
 * fewer than the set's protect threshold are healthy: then the registry itself is doubted and its unhealthy ones are
 * used too (Nacos's rule). One that failed its active check or was ejected is left out. One that is held (the
 * registry's newest word lacks it) counts in no share; it is left out for good when it refuses a connection.
 */
import type { LiveEndpoint } from './endpoint-state.ts'
import type { OutlierDetector } from './outlier.ts'

export interface Health {
  readonly eligible: number
  readonly usable: number
  readonly isProtected: boolean
}

/** Sets `isUsable` of each endpoint, and whether outlier detection stands aside. */
export function judge(
  states: readonly LiveEndpoint[],
  protectThreshold: number,
  outlier: OutlierDetector | null,
): Health {
  let eligible = 0
  let healthy = 0
  for (const state of states) {
    if (!state.isEligible || state.isHeld) continue
    eligible++
    if (state.endpoint.healthy) healthy++
  }
  const isProtected = eligible > 0 && healthy / eligible < protectThreshold
  let usable = 0
  for (const state of states) {
    state.isUsable = isGoodOtherwise(state, isProtected) && !state.isEjected
    if (state.isUsable && !state.isHeld) usable++
  }
  if (outlier === null) return { eligible, usable, isProtected }
  outlier.isStandingAside = eligible > 0 && usable / eligible < outlier.minHealthShare
  if (outlier.isStandingAside && outlier.ejected > 0) {
    usable = 0
    for (const state of states) {
      state.isUsable = isGoodOtherwise(state, isProtected)
      if (state.isUsable && !state.isHeld) usable++
    }
  }
  return { eligible, usable, isProtected }
}

function isGoodOtherwise(state: LiveEndpoint, isProtected: boolean): boolean {
  return state.isEligible && (state.endpoint.healthy || isProtected) && !state.hasFailedCheck && !state.isRefused
}

/** What speaks against the endpoint, or how well it stands, in an operator's words. */
export function describeHealth(state: LiveEndpoint, now: number): string {
  if (!state.endpoint.enabled) return 'disabled'
  if (state.weight === 0) return 'weight 0'
  if (!state.endpoint.healthy) return 'unhealthy'
  if (state.isHeld)
    return state.isRefused
      ? 'held back, and refused a connection: gone'
      : 'held back: the registry names it no more; used when the others fail'
  if (state.hasFailedCheck) return 'failed active check'
  if (state.isEjected) {
    const seconds = Math.max(0, (state.ejectedUntil - now) / 1000).toFixed(1)
    return `ejected for another ${seconds} s: ${state.ejectionReason}`
  }
  return now < state.warmUntil ? 'healthy, warming up' : 'healthy'
}
