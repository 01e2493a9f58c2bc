/**
 * Active checks: what asking an endpoint from time to time says about it. The question itself is asked elsewhere.
 *
 * Why: finds an endpoint that died without a request having to pay for the news, and one that is back without one
 * having to dare it. When it trips: `unhealthyThreshold` bad answers in a row take the endpoint out; the very first
 * answer decides alone, so that a dead endpoint is known at once. Recovery: `healthyThreshold` good answers in a row.
 * Cold start: until the first answer the registry's word holds.
 */
import type { ActiveCheckSpec } from '../../../contracts/policy-spec.ts'
import type { LiveEndpoint } from './endpoint-state.ts'

/**
 * `checkStreak` counts good answers upwards and bad ones downwards; 0 = never asked. Answers whether the endpoint's
 * standing changed.
 */
export function takeCheckResult(state: LiveEndpoint, isGood: boolean, spec: ActiveCheckSpec): boolean {
  const isFirst = state.checkStreak === 0
  if (isGood) state.checkStreak = state.checkStreak > 0 ? state.checkStreak + 1 : 1
  else state.checkStreak = state.checkStreak < 0 ? state.checkStreak - 1 : -1
  const before = state.hasFailedCheck
  if (isGood && state.checkStreak >= spec.healthyThreshold) state.hasFailedCheck = false
  if (!isGood && (isFirst || -state.checkStreak >= spec.unhealthyThreshold)) state.hasFailedCheck = true
  return state.hasFailedCheck !== before
}

export function forgetChecks(state: LiveEndpoint): void {
  state.hasFailedCheck = false
  state.checkStreak = 0
}
