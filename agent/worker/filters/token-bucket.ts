/**
 * A token bucket without a timer: it is filled by the time that passed when it is asked. Starts full. Its rate is
 * `tokensPerFill` per `fillIntervalMs`, its burst `maxTokens`. Time is monotonic ms, handed in; a clock that steps back
 * adds nothing.
 */
export interface BucketRate {
  readonly maxTokens: number
  readonly tokensPerFill: number
  readonly fillIntervalMs: number
}

export class TokenBucket {
  private rate: BucketRate
  private left: number
  private filledAt: number

  constructor(rate: BucketRate, now: number, tokens: number = rate.maxTokens) {
    this.rate = rate
    this.left = Math.min(tokens, rate.maxTokens)
    this.filledAt = now
  }

  /** Takes one token if there is one. */
  take(now: number): boolean {
    this.fill(now)
    if (this.left < 1) return false
    this.left -= 1
    return true
  }

  tokens(now: number): number {
    this.fill(now)
    return this.left
  }

  /** Ms until the next token; 0 if there is one. */
  waitMs(now: number): number {
    this.fill(now)
    return Math.max(0, ((1 - this.left) * this.rate.fillIntervalMs) / this.rate.tokensPerFill)
  }

  /** New rate of the same limit: what was used up stays used up. */
  setRate(rate: BucketRate, now: number): void {
    this.fill(now)
    const used = this.rate.maxTokens - this.left
    this.rate = rate
    this.left = Math.max(0, rate.maxTokens - used)
  }

  private fill(now: number): void {
    const elapsed = now - this.filledAt
    if (elapsed <= 0) return
    const added = (elapsed * this.rate.tokensPerFill) / this.rate.fillIntervalMs
    this.left = Math.min(this.rate.maxTokens, this.left + added)
    this.filledAt = now
  }
}
