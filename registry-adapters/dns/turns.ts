/** At most so many at the same time; the others wait, first come first served. */
export class Turns {
  private readonly most: number
  private readonly maxWaiting: number
  private readonly full: () => Error
  private readonly waiting: (() => void)[] = []
  private active = 0

  /** Where more than `maxWaiting` wait, the next one is refused with what `full` makes. */
  constructor(most: number, maxWaiting = Infinity, full: () => Error = () => new Error('too many wait already')) {
    this.most = most
    this.maxWaiting = maxWaiting
    this.full = full
  }

  /** Runs `work` when it is its turn. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.active < this.most) this.active++
    else if (this.waiting.length >= this.maxWaiting) throw this.full()
    else await new Promise<void>((resolve) => this.waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = this.waiting.shift()
      // who waited takes the place over
      if (next === undefined) this.active--
      else next()
    }
  }
}
