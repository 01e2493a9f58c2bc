/**
 * How many bytes of unanswered requests a listener holds in memory, in all and for one caller. Whoever would go over is
 * refused; what is held already stays.
 */
export interface ByteBudgetOptions {
  readonly most: number
  readonly mostPerCaller: number
}

export class ByteBudget {
  private readonly options: ByteBudgetOptions
  private readonly held = new Map<string, number>()
  private total = 0

  constructor(options: ByteBudgetOptions) {
    this.options = options
  }

  get size(): number {
    return this.total
  }

  /** False = not counted, because a bound would be passed. */
  take(caller: string, bytes: number): boolean {
    const { most, mostPerCaller } = this.options
    const held = (this.held.get(caller) ?? 0) + bytes
    if (held > mostPerCaller || this.total + bytes > most) return false
    this.held.set(caller, held)
    this.total += bytes
    return true
  }

  /** Gives back what was taken. */
  give(caller: string, bytes: number): void {
    const left = (this.held.get(caller) ?? 0) - bytes
    if (left > 0) this.held.set(caller, left)
    else this.held.delete(caller)
    this.total -= bytes
  }
}
