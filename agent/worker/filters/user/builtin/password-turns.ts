/** Passwords of one caller that are counted or wait; more of it are refused. */
export const mostOfCaller = 4
/** The same of all callers. */
export const mostInAll = 16
/** Counted at a time: half of the threads that files, names and tokens are waiting for, too. */
const maxRunning = 2
/** Who waited longer is refused, so that nobody is told by a deadline, ms. */
export const longestWaitMs = 500

interface Waiting {
  readonly since: number
  /** False = it waited too long. */
  readonly begin: (isInTime: boolean) => void
}

interface Caller {
  /** Waiting or counted. */
  count: number
  readonly line: Waiting[]
}

/**
 * Who may have a password counted, which costs a thread for a while: a few at a time, the rest in a line of each
 * caller, served in rotation. So somebody who tries passwords takes no more turns than anybody else.
 */
export class PasswordTurns {
  private readonly now: () => number
  private readonly callers = new Map<string, Caller>()
  private running = 0
  private inAll = 0

  /** `now`: monotonic ms. */
  constructor(now: () => number) {
    this.now = now
  }

  /** What `count` answers; undefined = there was no turn for it. */
  async take<T>(caller: string, count: () => Promise<T>): Promise<T | undefined> {
    const one = this.callers.get(caller) ?? { count: 0, line: [] }
    if (this.inAll >= mostInAll || one.count >= mostOfCaller) return undefined
    this.callers.set(caller, one)
    one.count++
    this.inAll++
    try {
      if (this.running < maxRunning) this.running++
      else if (!(await this.turn(one))) return undefined
      try {
        return await count()
      } finally {
        this.running--
        this.next()
      }
    } finally {
      this.inAll--
      if (--one.count === 0) this.callers.delete(caller)
    }
  }

  private turn({ line }: Caller): Promise<boolean> {
    return new Promise((begin) => line.push({ since: this.now(), begin }))
  }

  private next(): void {
    for (const [name, caller] of this.callers) {
      for (let waiting = caller.line.shift(); waiting !== undefined; waiting = caller.line.shift()) {
        const isInTime = this.now() - waiting.since <= longestWaitMs
        if (isInTime) this.running++
        waiting.begin(isInTime)
        if (!isInTime) continue
        // behind the others
        this.callers.delete(name)
        this.callers.set(name, caller)
        return
      }
    }
  }
}
