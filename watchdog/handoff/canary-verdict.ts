/**
 * Compares a canary with the workers beside it by failures and latency, like with like: within each group of who calls
 * what, for the connections of one caller lie on one worker, and what always fails would fail more where more of them
 * are. A difference counts only where it is above what an operator allows and beyond chance (three standard errors of
 * two shares, by Cochran, Mantel and Haenszel), so that a few unlucky requests take no good release back.
 */
import { canaryGroups } from '../../contracts/canary.ts'
import type { DurationBucket, GoldenSignals, SignalGroup, Signals, SignalsSeen } from '../../contracts/canary.ts'

/** Fewer requests than this on either side say nothing. */
const fewestRequests = 20
/** Fewer failures than this are no pattern. */
const fewestFailed = 3
const standardErrors = 3
/** Latency is compared at these percentiles; below this difference nobody is slower, ms. */
const percentiles = [50, 95] as const
const slackMs = 5

export const noSignals: GoldenSignals = { requests: 0, failed: 0, durations: [], groups: [] }

export function isTooFew(canary: GoldenSignals, others: GoldenSignals): boolean {
  return canary.requests < fewestRequests || others.requests < fewestRequests
}

/** Why it is worse; undefined: it is not, or there is too little to compare. */
export function moreFailures(canary: GoldenSignals, others: GoldenSignals, allowedPercent: number): string | undefined {
  if (isTooFew(canary, others)) return undefined
  const samples = pairsOf(canary, others, ({ requests }) => requests).map(([own, usual]): Sample => [
    own.failed,
    own.requests,
    usual.failed,
    usual.requests,
  ])
  const share = canary.failed / canary.requests
  const usualShare = expected(samples) / canary.requests
  if (canary.failed < fewestFailed || share <= usualShare + allowedPercent / 100) return undefined
  if (!isBeyondChance(samples)) return undefined
  return `${percent(share)} of its requests failed (${canary.failed} of ${canary.requests}), ${percent(usualShare)} with the others; allowed ${allowedPercent} % more`
}

/** Likewise. */
export function slower(canary: GoldenSignals, others: GoldenSignals, allowedPercent: number): string | undefined {
  const count = countOf(canary)
  if (count < fewestRequests || countOf(others) < fewestRequests) return undefined
  const pairs = pairsOf(canary, others, countOf)
  // as if the others had been called by the same, as often
  const usual = pairs.map(([own, theirs]) => scaled(theirs, countOf(own) / countOf(theirs))).reduce(sumOf)
  for (const place of percentiles) {
    const usualMs = percentileMs(usual, place)
    const boundMs = usualMs * (1 + allowedPercent / 100) + slackMs
    if (countAbove(canary, boundMs) / count <= 1 - place / 100) continue
    const samples = pairs.map(([own, theirs]): Sample => [
      countAbove(own, boundMs),
      countOf(own),
      countAbove(theirs, boundMs),
      countOf(theirs),
    ])
    if (!isBeyondChance(samples)) continue
    return `its ${nameOf(place)} is ${round(percentileMs(canary, place))} ms, ${round(usualMs)} ms with the others; allowed ${allowedPercent} % and ${slackMs} ms more`
  }
  return undefined
}

export function seen(signals: GoldenSignals): SignalsSeen {
  const { requests, failed } = signals
  return { requests, failed, p50Ms: round(percentileMs(signals, 50)), p95Ms: round(percentileMs(signals, 95)) }
}

export function add(one: GoldenSignals, other: GoldenSignals, sign: 1 | -1 = 1): GoldenSignals {
  const all = sumOf(one, scaled(other, sign))
  if (one.groups === undefined || other.groups === undefined) return all
  const groups = new Map<number, Signals>(one.groups)
  for (const [group, signals] of other.groups)
    groups.set(group, sumOf(groups.get(group) ?? noSignals, scaled(signals, sign)))
  return { ...all, groups: [...groups] }
}

function scaled({ durations, failed, requests }: Signals, by: number): Signals {
  const buckets = durations.map(([fromMs, toMs, count]): DurationBucket => [fromMs, toMs, by * count])
  return { requests: by * requests, failed: by * failed, durations: buckets }
}

function sumOf(one: Signals, other: Signals): Signals {
  const buckets = new Map<string, DurationBucket>()
  for (const [fromMs, toMs, count] of [...one.durations, ...other.durations]) {
    const key = `${fromMs} ${toMs}`
    buckets.set(key, [fromMs, toMs, (buckets.get(key)?.[2] ?? 0) + count])
  }
  return {
    requests: one.requests + other.requests,
    failed: one.failed + other.failed,
    durations: [...buckets.values()].filter(([, , count]) => count > 0),
  }
}

/**
 * The canary's part and the others' of each group that the canary has something of; of a group that it alone has, its
 * part and all of the others. One pair where a release tells no groups.
 */
function pairsOf(
  canary: GoldenSignals,
  others: GoldenSignals,
  size: (signals: Signals) => number,
): (readonly [own: Signals, others: Signals])[] {
  if (canary.groups === undefined || others.groups === undefined) return [[canary, others]]
  const usual = new Map<number, Signals>(others.groups)
  return canary.groups
    .filter(([, own]) => size(own) > 0)
    .map(([group, own]) => {
      const theirs = usual.get(group) ?? noSignals
      return [own, size(theirs) > 0 ? theirs : others]
    })
}

/** Of an untrusted neighbour version: whatever is not numbers is nothing. */
export function readSignals(signals: GoldenSignals): GoldenSignals {
  const all = counted(signals)
  if (all === undefined) return noSignals
  if (!Array.isArray(signals.groups)) return all
  const groups = new Map<number, Signals>()
  for (const [group, part] of signals.groups.filter(isGroup).slice(0, canaryGroups)) {
    const read = counted(part)
    if (read !== undefined) groups.set(group, read)
  }
  return { ...all, groups: [...groups] }
}

function isGroup(one: unknown): one is SignalGroup {
  if (!Array.isArray(one) || one.length !== 2) return false
  const [group, part] = one as readonly unknown[]
  return isCount(group) && group < canaryGroups && typeof part === 'object' && part !== null
}

function counted({ durations, failed, requests }: Signals): Signals | undefined {
  if (!isCount(requests) || !isCount(failed) || !Array.isArray(durations)) return undefined
  const buckets = (durations as readonly DurationBucket[]).slice(0, maxBuckets)
  const isBucket = (one: DurationBucket): boolean => Array.isArray(one) && one.length === 3 && one.every(isCount)
  return { requests, failed, durations: buckets.filter(isBucket) }
}

const maxBuckets = 64

function isCount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && Number.isFinite(value)
}

type Sample = readonly [some: number, of: number, usualSome: number, usualOf: number]

/** How many it would be, were the shares those of the others. */
function expected(samples: readonly Sample[]): number {
  return samples.reduce((sum, [, of, usualSome, usualOf]) => sum + (of * usualSome) / usualOf, 0)
}

/** Cochran, Mantel and Haenszel: above what both sides together let expect, group by group. */
function isBeyondChance(samples: readonly Sample[]): boolean {
  let above = 0
  let variance = 0
  for (const [some, of, usualSome, usualOf] of samples) {
    const total = of + usualOf
    const hit = some + usualSome
    above += some - (of * hit) / total
    variance += (of * usualOf * hit * (total - hit)) / (total * total * (total - 1))
  }
  return above > standardErrors * Math.sqrt(variance)
}

function countOf({ durations }: Signals): number {
  return durations.reduce((sum, [, , count]) => sum + count, 0)
}

/** Estimate: evenly spread within its bucket. -1 without requests. */
function percentileMs(signals: Signals, place: number): number {
  const wanted = (countOf(signals) * place) / 100
  let before = 0
  for (const [fromMs, toMs, count] of signals.durations.toSorted(([one], [other]) => one - other)) {
    if (before + count >= wanted) return fromMs + ((toMs - fromMs) * (wanted - before)) / count
    before += count
  }
  return -1
}

function countAbove(signals: Signals, ms: number): number {
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
