import type { Tallies } from '../observe/tallies.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner, TimerWheel } from '../transport/timer-wheel.ts'

/** A request that waits for control to say what a name means. */
export interface Parkable {
  isParked: boolean
  /** Control has answered this or another name, or the time is over. */
  unpark(isTimeout: boolean): void
}

export interface ParkedNamesDeps {
  readonly wheel: TimerWheel
  readonly now: () => number
  readonly tallies: Tallies
  /** Read at each park: limits change with the snapshot. */
  readonly limits: () => { readonly maxParkedRequests: number; readonly parkTimeoutMs: number }
  /** Sends `need`; called once per name while it waits. */
  readonly ask: (names: readonly string[]) => void
  readonly isAnswered: (name: string) => boolean
}

/** One wait of a request; the same request object may wait again later for something else. */
interface Wait {
  readonly parked: Parkable
  readonly name: string
  /** Monotonic ms. */
  readonly deadline: number
}

/**
 * Requests for names that this worker does not know yet. Bound: `maxParkedRequests`; beyond it a request is refused at once. Each waits at most `parkTimeoutMs`, also when
 * control is dead. A name is asked for once, however many requests wait for it.
 */
export class ParkedNames implements TimerOwner {
  private readonly deps: ParkedNamesDeps
  private readonly waiting = new Map<string, Set<Parkable>>()
  private readonly waits = new Map<Parkable, Wait>()
  private readonly timer: Timer
  /** In order of parking, which is the order of their deadlines; waits that have ended stay until their time. */
  private readonly queue: Wait[] = []

  constructor(deps: ParkedNamesDeps) {
    this.deps = deps
    this.timer = new Timer(this, 0)
  }

  get size(): number {
    return this.waits.size
  }

  /** False at the bound: nothing will be called. */
  park(name: string, parked: Parkable): boolean {
    const { ask, limits, now, tallies, wheel } = this.deps
    const { maxParkedRequests, parkTimeoutMs } = limits()
    if (this.waits.size >= maxParkedRequests) {
      tallies.parkOverflows++
      return false
    }
    tallies.parkedRequests++
    parked.isParked = true
    const wait = { parked, name, deadline: now() + parkTimeoutMs }
    this.waits.set(parked, wait)
    this.queue.push(wait)
    wheel.arm(this.timer, Math.min(this.timer.deadline, wait.deadline))
    const others = this.waiting.get(name)
    if (others !== undefined) {
      others.add(parked)
      return true
    }
    this.waiting.set(name, new Set([parked]))
    ask([name])
    return true
  }

  forget(parked: Parkable): void {
    const wait = this.waits.get(parked)
    parked.isParked = false
    if (wait === undefined) return
    this.waits.delete(parked)
    const others = this.waiting.get(wait.name)
    others?.delete(parked)
    if (others?.size === 0) this.waiting.delete(wait.name)
  }

  /** Names that wait now: asked again after control came back. */
  pendingNames(): string[] {
    return [...this.waiting.keys()]
  }

  /** The names table has changed: whoever has an answer goes on. */
  answered(): void {
    for (const [name, others] of Array.from(this.waiting)) {
      if (!this.deps.isAnswered(name)) continue
      for (const parked of others) {
        this.forget(parked)
        parked.unpark(false)
      }
    }
  }

  onTimer(): void {
    const now = this.deps.now()
    for (let first = this.queue[0]; first !== undefined; first = this.queue[0]) {
      if (this.waits.get(first.parked) !== first) {
        this.queue.shift()
        continue
      }
      if (first.deadline > now) {
        this.deps.wheel.arm(this.timer, first.deadline)
        return
      }
      this.queue.shift()
      this.deps.tallies.parkTimeouts++
      this.forget(first.parked)
      first.parked.unpark(true)
    }
  }
}
