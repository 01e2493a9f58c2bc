/**
 * Notices that a worker has come to rest: nothing was counted between two looks, no connection carries anything, and
 * something was since the last rest.
 */
export class RestWatch {
  /** Grows with all that is served. */
  private readonly served: () => number
  /** Streams of hours are counted when they end. */
  private readonly isCarrying: () => boolean
  private readonly onRest: () => void
  private last: number | undefined
  private isResting = false

  constructor(served: () => number, isCarrying: () => boolean, onRest: () => void) {
    this.served = served
    this.isCarrying = isCarrying
    this.onRest = onRest
  }

  /** Every 30 s or so; the first one is a beginning. */
  look(): void {
    const now = this.served()
    const isQuiet = now === this.last && !this.isCarrying()
    this.last = now
    if (isQuiet && !this.isResting) this.onRest()
    this.isResting = isQuiet
  }
}
