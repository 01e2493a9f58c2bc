/** Calls at an even pace, none of which waits for another. */
import { Tally } from './tally.ts'

/** ms that a call may take. */
export const callTimeoutMs = 5000

/** As many as begin while one may wait: a call that waits is lost by its own time-out, not for those behind it. */
export function mostAtRate(rate: number): number {
  return Math.ceil((rate * callTimeoutMs) / 1000)
}

export interface Pace {
  /** Calls per second. */
  readonly rate: number
  readonly now: () => number
  /** Calls in flight; a call that would exceed it counts as failed. Default: those of the time that a call may take. */
  readonly maxInFlight?: number
}

/** Of a call that failed, only the reason counts. */
export type Settle = (outcome: { isGood: boolean; tier?: string; version?: string; reason?: string }) => void

/** Begins one call per tick, unless too many are in flight, and counts what came of each. */
export class PacedCalls {
  readonly tally: Tally
  private readonly timer: NodeJS.Timeout
  private inFlight = 0
  private peak = 0

  /** `begin` calls what it is given when the call is over; the first time counts. */
  constructor({ now, rate, maxInFlight = mostAtRate(rate) }: Pace, begin: (settle: Settle) => void) {
    this.tally = new Tally(now)
    this.timer = setInterval(() => {
      if (this.inFlight >= maxInFlight) {
        this.add({ isGood: false, reason: 'too many calls wait' }, callTimeoutMs)
        return
      }
      this.inFlight++
      this.peak = Math.max(this.peak, this.inFlight)
      const startedAt = now()
      let isSettled = false
      begin((outcome) => {
        if (isSettled) return
        isSettled = true
        this.inFlight--
        this.add(outcome, now() - startedAt)
      })
    }, 1000 / rate)
  }

  /** Most calls that were in flight at the same time since the last call of this function. */
  takePeak(): number {
    const taken = this.peak
    this.peak = this.inFlight
    return taken
  }

  stop(): void {
    clearInterval(this.timer)
  }

  private add({ isGood, tier = '', version = '', reason = '' }: Parameters<Settle>[0], latencyMs: number): void {
    this.tally.add({ isGood, tier, version, latencyMs, reason })
  }
}
