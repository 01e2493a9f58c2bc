/**
 * How long a refusal is held back before its caller is told.
 *
 * Why: a caller that asks again the moment it is refused spends the worker's time on refusals, which everybody else of
 * the host then lacks (seen: 24,000 refusals a second moved the median of another caller from 0.4 to 12 ms). When it
 * trips: beyond `perSecond` refusals of one caller in each worker, `burst` of them at once. Each further one is told
 * later by 1 / `perSecond`, at most `longestMs`; those at this bound are spread over half of it, so that they do not
 * come back all at once. Recovery: at the free rate, as time passes. What is refused for good reason now and then is
 * told at once.
 */
import type { CallerAccount } from './caller-account.ts'

export const refusalPace = { perSecond: 500, burst: 500, longestMs: 1000 } as const

const intervalMs = 1000 / refusalPace.perSecond
const burstMs = refusalPace.burst * intervalMs

/** Ms, 0 = at once. Counts the refusal. `draw`: 0..1; `now`: monotonic ms. */
export function refusalDelay(account: CallerAccount, now: number, draw: number): number {
  account.refusals++
  const paidUntil = Math.max(account.paidUntil, now) + intervalMs
  const lateMs = paidUntil - burstMs - now
  if (lateMs <= 0) {
    account.paidUntil = paidUntil
    return 0
  }
  account.slowed++
  if (lateMs < refusalPace.longestMs) {
    account.paidUntil = paidUntil
    return lateMs
  }
  // what is held back longest is not added to: the caller is told at the same pace once it asks less
  return refusalPace.longestMs * (1 - draw / 2)
}
