import type { Tallies } from '../observe/tallies.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner, TimerWheel } from '../transport/timer-wheel.ts'
import { SilentNames } from './silent-names.ts'
import { UnknownNameQuota } from './unknown-name-quota.ts'

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
  /** Answered, and somebody knows it. */
  readonly isKnown: (name: string) => boolean
}

/**
 * Longest wait of a relayed request, ms: its host has other centers, and endpoints of its own, and an answer of a
 * registry that is there takes a tenth of this.
 */
const relayedWaitMs = 1000

/** Names of one caller that wait or were lately unknown, and how many of those are forgiven in a second. */
const unknownNames = { most: 256, perSecond: 20, maxCallers: 4096 } as const

/** One wait of a request; the same request object may wait again later for something else. */
interface Wait {
  readonly parked: Parkable
  readonly name: string
  readonly caller: string
  /** Monotonic ms. */
  readonly deadline: number
}

/**
 * Requests for names that this worker does not know yet. Bound: `maxParkedRequests`, half of them of one caller; beyond
 * it a request is refused at once, and so is one for a new name of a caller that asked for too many unknown ones. Each
 * waits at most `parkTimeoutMs`, also when control is dead. A name is asked for once, however many requests wait for
 * it.
 */
export class ParkedNames implements TimerOwner {
  private readonly deps: ParkedNamesDeps
  private readonly waiting = new Map<string, { readonly askedBy: string; readonly parked: Set<Parkable> }>()
  private readonly quota = new UnknownNameQuota(unknownNames)
  /** Waits of each caller. */
  private readonly callers = new Map<string, number>()
  private readonly waits = new Map<Parkable, Wait>()
  private readonly timer: Timer
  /** In order of parking, which is the order of their deadlines; waits that have ended stay until their time. */
  private readonly queue: Wait[] = []
  private readonly relayedQueue: Wait[] = []
  private readonly silent: SilentNames

  constructor(deps: ParkedNamesDeps) {
    this.deps = deps
    this.silent = new SilentNames(deps.ask)
    this.timer = new Timer(this, 0)
  }

  get size(): number {
    return this.waits.size
  }

  /**
   * False at a bound: nothing will be called. `caller`: whose share of the bounds it is. A relayed one, whose host may
   * ask elsewhere, waits at most a second, and not at all (`unpark` comes at once) for a name about which nobody
   * answered lately.
   */
  park(name: string, parked: Parkable, caller: string, isRelayed = false): boolean {
    const { ask, limits, now, tallies, wheel } = this.deps
    const { maxParkedRequests, parkTimeoutMs } = limits()
    if (isRelayed && this.silent.has(name, now())) {
      parked.unpark(true)
      return true
    }
    const others = this.waiting.get(name)
    const held = this.callers.get(caller) ?? 0
    if (this.waits.size >= maxParkedRequests || held >= Math.ceil(maxParkedRequests / 2)) {
      tallies.parkOverflows++
      return false
    }
    if (others === undefined && !this.quota.enter(caller, now())) {
      tallies.unknownNameRefusals++
      return false
    }
    this.callers.set(caller, held + 1)
    tallies.parkedRequests++
    parked.isParked = true
    const waitMs = isRelayed ? Math.min(parkTimeoutMs, relayedWaitMs) : parkTimeoutMs
    const wait = { parked, name, caller, deadline: now() + waitMs }
    this.waits.set(parked, wait)
    const queue = isRelayed ? this.relayedQueue : this.queue
    queue.push(wait)
    wheel.arm(this.timer, Math.min(this.timer.deadline, wait.deadline))
    if (others !== undefined) {
      others.parked.add(parked)
      return true
    }
    this.waiting.set(name, { askedBy: caller, parked: new Set([parked]) })
    ask([name])
    return true
  }

  forget(parked: Parkable): void {
    const wait = this.waits.get(parked)
    parked.isParked = false
    if (wait === undefined) return
    this.waits.delete(parked)
    const held = (this.callers.get(wait.caller) ?? 1) - 1
    if (held === 0) this.callers.delete(wait.caller)
    else this.callers.set(wait.caller, held)
    const others = this.waiting.get(wait.name)
    others?.parked.delete(parked)
    if (others === undefined || others.parked.size > 0) return
    this.waiting.delete(wait.name)
    this.quota.leave(others.askedBy, this.deps.isKnown(wait.name), this.deps.now())
  }

  /** Names that wait now: asked again after control came back. */
  pendingNames(): string[] {
    return [...this.waiting.keys()]
  }

  /** The names table has changed: whoever has an answer goes on. */
  answered(): void {
    this.silent.dropAnswered(this.deps.isAnswered)
    for (const [name, others] of Array.from(this.waiting)) {
      if (!this.deps.isAnswered(name)) continue
      for (const parked of others.parked) {
        this.forget(parked)
        parked.unpark(false)
      }
    }
  }

  onTimer(): void {
    const due = Math.min(this.endOverdue(this.queue), this.endOverdue(this.relayedQueue))
    if (due < Infinity) this.deps.wheel.arm(this.timer, due)
  }

  /** Answers when the next one is due. */
  private endOverdue(queue: Wait[]): number {
    const now = this.deps.now()
    for (let first = queue[0]; first !== undefined; first = queue[0]) {
      if (this.waits.get(first.parked) === first) {
        if (first.deadline > now) return first.deadline
        this.deps.tallies.parkTimeouts++
        this.silent.add(first.name, now)
        this.forget(first.parked)
        queue.shift()
        first.parked.unpark(true)
      } else queue.shift()
    }
    return Infinity
  }
}
