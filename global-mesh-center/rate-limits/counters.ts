/**
 * Counters of one limit, in windows that begin with the unit of the wall clock. Bound: `most` of them (2 at least);
 * beyond it those that were not asked about for longest are forgotten, and begin anew when they are asked about again.
 */
import { TwoHalves } from '../../contracts/two-halves.ts'

interface Counter {
  window: number
  hits: number
}

export class Counters {
  private readonly kept: TwoHalves<Counter>

  constructor(most: number) {
    this.kept = new TwoHalves(most)
  }

  get size(): number {
    return this.kept.size
  }

  get forgotten(): number {
    return this.kept.forgotten
  }

  /** Hits of the window of `now` (epoch ms), these included. */
  add(key: string, hits: number, windowMs: number, now: number): number {
    const window = Math.floor(now / windowMs)
    const known = this.kept.get(key)
    if (known === undefined) {
      this.kept.set(key, { window, hits })
      return hits
    }
    // a clock that steps back a little begins no window that was counted before
    if (window > known.window || window < known.window - 1) {
      known.window = window
      known.hits = 0
    }
    known.hits = Math.min(known.hits + hits, Number.MAX_SAFE_INTEGER)
    return known.hits
  }
}
