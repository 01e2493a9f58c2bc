/**
 * Whether the hosts of a roll-out are slower for good. The slowest hundredth of some hundred requests is what one stall
 * of one host makes of them; so p99 is compared in parts of the time, and three slow parts are needed.
 */
import type { RolloutLimits } from './rollout.ts'
import { p99, since, type Figures, type Signals } from './signals.ts'

/** A part lasts this share of the time that the roll-out is observed, and on until it has enough requests. */
const partsOfTime = 5
/** Of the share in a part: p99 of fewer is one request. */
const minOfPart = 100
/** With what a part is compared. */
const minOfRest = 300
const slowPartsForBad = 3
/** A difference below this is none, ms. */
const minLatencyMs = 20

const nothing: Figures = { requests: 0, failures: 0, counts: [] }

export class LatencyWatch {
  private readonly partMs: number
  private partBegan: number
  private before = nothing
  private slowParts = 0

  /** `now`: epoch ms, when the observation begins. */
  constructor(observeMs: number, now: number) {
    this.partMs = observeMs / partsOfTime
    this.partBegan = now
  }

  /**
   * @returns why it is slower; undefined = it is not, as far as one can tell. `share` and `rest` are sums since the
   * start.
   */
  look(share: Signals, rest: Signals, limits: RolloutLimits, now: number): string | undefined {
    const part = since(share, this.before)
    if (now - this.partBegan < this.partMs || part.requests < minOfPart || rest.requests < minOfRest) return undefined
    this.partBegan = now
    this.before = share
    const [slow, usual] = [p99({ ...share, ...part }), p99(rest)]
    if (slow <= usual * limits.latency || slow - usual < minLatencyMs) return undefined
    if (++this.slowParts < slowPartsForBad) return undefined
    return `p99 is ${ms(slow)}, elsewhere ${ms(usual)}, for the ${slowPartsForBad}rd time; ${limits.latency} times that is allowed`
  }
}

function ms(value: number): string {
  return Number.isFinite(value) ? `${value} ms` : 'beyond all buckets'
}
