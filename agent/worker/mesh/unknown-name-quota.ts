/**
 * How many names that nobody knows one caller may ask for: a name costs every registry a subscription, so a caller that
 * invents names must not use up what all callers share. Names that turn out to be known cost nothing. Bound: `most`
 * names that wait or were lately unknown; unknown ones are forgiven at `perSecond`.
 */
export interface UnknownNameQuotaOptions {
  readonly most: number
  readonly perSecond: number
  /** Callers that are remembered; above it the longest quiet one is forgotten. */
  readonly maxCallers: number
}

interface CallerCount {
  waiting: number
  /** As of `at`. */
  unknown: number
  at: number
}

export class UnknownNameQuota {
  private readonly options: UnknownNameQuotaOptions
  /** The longest quiet first. */
  private readonly callers = new Map<string, CallerCount>()

  constructor(options: UnknownNameQuotaOptions) {
    this.options = options
  }

  /** Counts a name that will wait; false = the caller has used its quota up. `now`: monotonic ms. */
  enter(caller: string, now: number): boolean {
    const count = this.callers.get(caller) ?? { waiting: 0, unknown: 0, at: now }
    this.forgive(count, now)
    if (count.waiting + count.unknown >= this.options.most) return false
    count.waiting++
    this.callers.delete(caller)
    this.callers.set(caller, count)
    if (this.callers.size > this.options.maxCallers) this.forgetOne()
    return true
  }

  /** The wait is over, with or without an answer. */
  leave(caller: string, isKnown: boolean, now: number): void {
    const count = this.callers.get(caller)
    if (count === undefined) return
    this.forgive(count, now)
    count.waiting = Math.max(0, count.waiting - 1)
    if (!isKnown) count.unknown++
    else if (count.waiting === 0 && count.unknown === 0) this.callers.delete(caller)
  }

  private forgive(count: CallerCount, now: number): void {
    count.unknown = Math.max(0, count.unknown - ((now - count.at) / 1000) * this.options.perSecond)
    count.at = now
  }

  private forgetOne(): void {
    for (const caller of this.callers.keys()) {
      this.callers.delete(caller)
      return
    }
  }
}
