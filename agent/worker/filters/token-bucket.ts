/**
 * A token bucket without a timer: it is filled by the time that passed when it is asked. Starts full. Its rate is `tokensPerFill` per `fillIntervalMs`, its
 * burst `maxTokens`. Time is monotonic ms, handed in; a clock that steps back adds nothing.
 */
export interface BucketRate {
  readonly maxTokens: number
  readonly tokensPerFill: number
  readonly fillIntervalMs: number
}

export class TokenBucket {
  #rate: BucketRate
  #tokens: number
  #filledAt: number

  constructor(rate: BucketRate, now: number, tokens: number = rate.maxTokens) {
    this.#rate = rate
    this.#tokens = Math.min(tokens, rate.maxTokens)
    this.#filledAt = now
  }

  /** Takes one token if there is one. */
  take(now: number): boolean {
    this.#fill(now)
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  tokens(now: number): number {
    this.#fill(now)
    return this.#tokens
  }

  /** Ms until the next token; 0 if there is one. */
  waitMs(now: number): number {
    this.#fill(now)
    return Math.max(0, ((1 - this.#tokens) * this.#rate.fillIntervalMs) / this.#rate.tokensPerFill)
  }

  /** New rate of the same limit: what was used up stays used up. */
  setRate(rate: BucketRate, now: number): void {
    this.#fill(now)
    const used = this.#rate.maxTokens - this.#tokens
    this.#rate = rate
    this.#tokens = Math.max(0, rate.maxTokens - used)
  }

  #fill(now: number): void {
    const elapsed = now - this.#filledAt
    if (elapsed <= 0) return
    const added = (elapsed * this.#rate.tokensPerFill) / this.#rate.fillIntervalMs
    this.#tokens = Math.min(this.#rate.maxTokens, this.#tokens + added)
    this.#filledAt = now
  }
}
