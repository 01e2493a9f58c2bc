/**
 * Compares a canary with the workers beside it by failures and latency. A difference counts only where it is above what
 * an operator allows and beyond chance (three standard errors of two shares), so that a few unlucky requests take no
 * good release back.
 */
import type { DurationBucket, GoldenSignals, SignalsSeen } from '../../contracts/canary.ts'

/** Fewer requests than this on either side say nothing. */
const fewestRequests = 20
/** Fewer failures than this are no pattern. */
const fewestFailed = 3
const standardErrors = 3
/** Latency is compared at these percentiles; below this difference nobody is slower, ms. */
const percentiles = [50, 95] as const
const slackMs = 5

export const noSignals: GoldenSignals = { requests: 0, failed: 0, durations: [] }

export function isTooFew(canary: GoldenSignals, others: GoldenSignals): boolean {
  return canary.requests < fewestRequests || others.requests < fewestRequests
}

/** Why it is worse; undefined: it is not, or there is too little to compare. */
export function moreFailures(canary: GoldenSignals, others: GoldenSignals, allowedPercent: number): string | undefined {
  if (isTooFew(canary, others)) return undefined
  const share = canary.failed / canary.requests
  const usual = others.failed / others.requests
  if (canary.failed < fewestFailed || share <= usual + allowedPercent / 100) return undefined
  if (!isBeyondChance(canary.failed, canary.requests, others.failed, others.requests)) return undefined
  return `${percent(share)} of its requests failed (${canary.failed} of ${canary.requests}), ${percent(usual)} with the others; allowed ${allowedPercent} % more`
}

/** Likewise. */
export function slower(canary: GoldenSignals, others: GoldenSignals, allowedPercent: number): string | undefined {
  const count = countOf(canary)
  const usualCount = countOf(others)
  if (count < fewestRequests || usualCount < fewestRequests) return undefined
  for (const place of percentiles) {
    const usualMs = percentileMs(others, place)
    const boundMs = usualMs * (1 + allowedPercent / 100) + slackMs
    const above = countAbove(canary, boundMs)
    const usualAbove = countAbove(others, boundMs)
    if (above / count <= 1 - place / 100) continue
    if (!isBeyondChance(above, count, usualAbove, usualCount)) continue
    return `its ${nameOf(place)} is ${round(percentileMs(canary, place))} ms, ${round(usualMs)} ms with the others; allowed ${allowedPercent} % and ${slackMs} ms more`
  }
  return undefined
}

export function seen(signals: GoldenSignals): SignalsSeen {
  const { requests, failed } = signals
  return { requests, failed, p50Ms: round(percentileMs(signals, 50)), p95Ms: round(percentileMs(signals, 95)) }
}

export function add(one: GoldenSignals, other: GoldenSignals, sign: 1 | -1 = 1): GoldenSignals {
  const buckets = new Map<string, DurationBucket>()
  for (const [signals, factor] of [
    [one, 1],
    [other, sign],
  ] as const)
    for (const [fromMs, toMs, count] of signals.durations) {
      const key = `${fromMs} ${toMs}`
      buckets.set(key, [fromMs, toMs, (buckets.get(key)?.[2] ?? 0) + factor * count])
    }
  return {
    requests: one.requests + sign * other.requests,
    failed: one.failed + sign * other.failed,
    durations: [...buckets.values()].filter(([, , count]) => count > 0),
  }
}

/** Of an untrusted neighbour version: whatever is not numbers is nothing. */
export function readSignals(signals: GoldenSignals): GoldenSignals {
  const { durations, failed, requests } = signals
  if (!isCount(requests) || !isCount(failed) || !Array.isArray(durations)) return noSignals
  const buckets = (durations as readonly DurationBucket[]).slice(0, maxBuckets)
  const isBucket = (one: DurationBucket): boolean => Array.isArray(one) && one.length === 3 && one.every(isCount)
  return { requests, failed, durations: buckets.filter(isBucket) }
}

const maxBuckets = 64

function isCount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value)
}

/** Pooled two-proportion comparison. */
function isBeyondChance(some: number, of: number, usualSome: number, usualOf: number): boolean {
  const pooled = (some + usualSome) / (of + usualOf)
  const error = Math.sqrt(pooled * (1 - pooled) * (1 / of + 1 / usualOf))
  return some / of - usualSome / usualOf > standardErrors * error
}

function countOf({ durations }: GoldenSignals): number {
  return durations.reduce((sum, [, , count]) => sum + count, 0)
}

/** Estimate: evenly spread within its bucket. -1 without requests. */
function percentileMs(signals: GoldenSignals, place: number): number {
  const wanted = (countOf(signals) * place) / 100
  let before = 0
  for (const [fromMs, toMs, count] of signals.durations.toSorted(([one], [other]) => one - other)) {
    if (before + count >= wanted) return fromMs + ((toMs - fromMs) * (wanted - before)) / count
    before += count
  }
  return -1
}

function countAbove(signals: GoldenSignals, ms: number): number {
  let above = 0
  for (const [fromMs, toMs, count] of signals.durations) {
    if (fromMs >= ms) above += count
    else if (toMs > ms) above += (count * (toMs - ms)) / (toMs - fromMs)
  }
  return above
}

function nameOf(place: (typeof percentiles)[number]): string {
  return place === 50 ? 'median' : `${place}th percentile`
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10
}
