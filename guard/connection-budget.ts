/**
 * How many connections a local listener holds, in all and for one caller, so that nobody shuts it to the others. At a
 * bound the longest idle connection leaves for the newcomer: the caller's own where the caller is at its bound, else
 * anybody's. With no idle one to leave, the newcomer is refused.
 */
export interface BudgetedConnection {
  destroy(): unknown
}

export interface ConnectionBudgetOptions {
  readonly most: number
  /** Of one caller: an address, or the user of a local one. */
  readonly mostPerCaller: number
  /** One left or was refused; `bound` is the option that was reached. */
  readonly onBound?: (bound: 'most' | 'mostPerCaller') => void
}

export class ConnectionBudget<C extends BudgetedConnection> {
  private readonly options: ConnectionBudgetOptions
  private readonly callers = new Map<C, string>()
  /** The longest idle first; a connection begins idle. */
  private readonly idle = new Set<C>()
  private readonly counts = new Map<string, number>()

  constructor(options: ConnectionBudgetOptions) {
    this.options = options
  }

  get size(): number {
    return this.callers.size
  }

  /** False = no room: the newcomer is not counted, and must be closed by whoever accepted it. */
  enter(connection: C, caller: string): boolean {
    const { most, mostPerCaller, onBound } = this.options
    const isCallerFull = (this.counts.get(caller) ?? 0) >= mostPerCaller
    if (isCallerFull || this.callers.size >= most) {
      onBound?.(isCallerFull ? 'mostPerCaller' : 'most')
      const leaving = this.longestIdle(isCallerFull ? caller : undefined)
      if (leaving === undefined) return false
      this.leave(leaving)
      leaving.destroy()
    }
    this.callers.set(connection, caller)
    this.counts.set(caller, (this.counts.get(caller) ?? 0) + 1)
    this.idle.add(connection)
    return true
  }

  /** It carries a request now, and stays whatever comes. */
  busy(connection: C): void {
    this.idle.delete(connection)
  }

  /** Its request is answered. */
  rest(connection: C): void {
    if (!this.callers.has(connection)) return
    this.idle.delete(connection)
    this.idle.add(connection)
  }

  /** May be called more than once. */
  leave(connection: C): void {
    const caller = this.callers.get(connection)
    if (caller === undefined) return
    this.callers.delete(connection)
    this.idle.delete(connection)
    const left = (this.counts.get(caller) ?? 1) - 1
    if (left === 0) this.counts.delete(caller)
    else this.counts.set(caller, left)
  }

  private longestIdle(caller: string | undefined): C | undefined {
    for (const connection of this.idle)
      if (caller === undefined || this.callers.get(connection) === caller) return connection
    return undefined
  }
}
