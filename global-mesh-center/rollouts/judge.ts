/** Whether more requests of the hosts of a roll-out fail than of the others. Pure. */
import type { RolloutLimits } from './rollout.ts'
import type { Signals } from './signals.ts'

export interface Judgement {
  /** `few`: too little was heard to tell. */
  readonly verdict: 'good' | 'bad' | 'few'
  readonly reason: string
}

/** A difference that chance makes once in a thousand looks is none: three standard errors. */
const minDeviations = 3
/** Fewer failures than this are chance, however few there are elsewhere. */
const minFailures = 5
/** Of windows there are thousands a day: here chance makes one in millions. */
const minLateDeviations = 5

type Counted = Pick<Signals, 'requests' | 'failures'>

/**
 * @param rest what the share is compared with: the other hosts; where they have no traffic to speak of, the share
 *   before; where there is none either, a service without failures.
 */
export function judge(share: Signals, rest: Signals, limits: RolloutLimits): Judgement {
  const { requests, failures } = share
  const words = wordsOf(share, rest)
  if (requests < limits.minRequests) return { verdict: 'few', reason: `${words}; ${limits.minRequests} are needed` }
  if (failures >= minFailures && difference(share, rest) > limits.failures && deviations(share, rest) >= minDeviations)
    return { verdict: 'bad', reason: `${words}; ${percent(limits.failures, 1)} more are allowed` }
  return { verdict: 'good', reason: words }
}

/** The same of the last `ms` alone. Why it is bad; undefined = it is not, as far as one can tell. Pure. */
export function judgeLately(
  share: Counted & Pick<Signals, 'hosts'>,
  rest: Counted,
  limits: RolloutLimits,
  ms: number,
): string | undefined {
  if (share.requests < limits.minRequests || share.failures < minFailures) return undefined
  if (difference(share, rest) <= limits.failures || lateDeviations(share, rest) < minLateDeviations) return undefined
  return `${wordsOf(share, rest)} in the last ${Math.round(ms / 1000)} s; ${percent(limits.failures, 1)} more are allowed`
}

function wordsOf(share: Counted & Pick<Signals, 'hosts'>, rest: Counted): string {
  const { requests, failures, hosts } = share
  return `${percent(failures, requests)} of ${requests} requests of ${hosts} hosts failed, ${percent(rest.failures, rest.requests)} of ${rest.requests} elsewhere`
}

function difference(share: Counted, rest: Counted): number {
  return share.failures / share.requests - (rest.requests === 0 ? 0 : rest.failures / rest.requests)
}

/** By the angles of the two shares (Anscombe), whose deviation also few failures keep: a window may have no more. */
function lateDeviations(share: Counted, rest: Counted): number {
  const angle = ({ failures, requests }: Counted): number =>
    2 * Math.asin(Math.sqrt((failures + 3 / 8) / (requests + 3 / 4)))
  if (rest.requests === 0) return angle(share) * Math.sqrt(share.requests)
  return (angle(share) - angle(rest)) / Math.sqrt(1 / share.requests + 1 / rest.requests)
}

/** Of the difference between two shares of failures, in standard errors; against nothing, of the failures alone. */
function deviations(share: Signals, rest: Signals): number {
  if (rest.requests === 0) return Math.sqrt(share.failures)
  const all = share.requests + rest.requests
  const pooled = (share.failures + rest.failures) / all
  const error = Math.sqrt(pooled * (1 - pooled) * (1 / share.requests + 1 / rest.requests))
  const gap = difference(share, rest)
  // all failed, or none
  return error === 0 ? (gap > 0 ? Number.POSITIVE_INFINITY : 0) : gap / error
}

function percent(part: number, all: number): string {
  return `${(all === 0 ? 0 : (part / all) * 100).toFixed(1)} %`
}
