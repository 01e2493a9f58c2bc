import type { WatchdogState } from '../../../contracts/handoff.ts'

/**
 * Sees in what the watchdog tells that another generation is being started. It will begin with what the state directory
 * holds, so that has to be the newest, not what was written at the last turn of each file.
 */
export class SuccessorWatch {
  private readonly own: number
  private readonly onBegun: () => void
  private newest: number

  /** `own`: number of this generation. `onBegun`: once for each that comes after it. */
  constructor(own: number, onBegun: () => void) {
    this.own = own
    this.newest = own
    this.onBegun = onBegun
  }

  /** Of each state; it may be told the same again. */
  look({ generations }: Pick<WatchdogState, 'generations'>): void {
    const begun = generations.filter(({ phase }) => phase === 'starting').map(({ generation }) => generation)
    const newest = Math.max(this.own, ...begun)
    if (newest <= this.newest) return
    this.newest = newest
    this.onBegun()
  }
}
