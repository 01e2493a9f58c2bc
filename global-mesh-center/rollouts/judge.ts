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

/**
 * @param rest what the share is compared with: the other hosts; where they have no traffic to speak of, the share
 *   before; where there is none either, a service without failures.
 */
export function judge(share: Signals, rest: Signals, limits: RolloutLimits): Judgement {
  const { requests, failures } = share
  const words = `${percent(failures, requests)} of ${requests} requests of ${share.hosts} hosts failed, ${percent(rest.failures, rest.requests)} of ${rest.requests} elsewhere`
  if (requests < limits.minRequests) return { verdict: 'few', reason: `${words}; ${limits.minRequests} are needed` }
  const difference = failures / requests - (rest.requests === 0 ? 0 : rest.failures / rest.requests)
  if (failures >= minFailures && difference > limits.failures && deviations(share, rest) >= minDeviations)
    return { verdict: 'bad', reason: `${words}; ${percent(limits.failures, 1)} more are allowed` }
  return { verdict: 'good', reason: words }
}

/** Of the difference between two shares of failures, in standard errors; against nothing, of the failures alone. */
function deviations(share: Signals, rest: Signals): number {
  if (rest.requests === 0) return Math.sqrt(share.failures)
  const all = share.requests + rest.requests
  const pooled = (share.failures + rest.failures) / all
  const error = Math.sqrt(pooled * (1 - pooled) * (1 / share.requests + 1 / rest.requests))
  const difference = share.failures / share.requests - rest.failures / rest.requests
  // all failed, or none
  return error === 0 ? (difference > 0 ? Number.POSITIVE_INFINITY : 0) : difference / error
}

function percent(part: number, all: number): string {
  return `${(all === 0 ? 0 : (part / all) * 100).toFixed(1)} %`
}
