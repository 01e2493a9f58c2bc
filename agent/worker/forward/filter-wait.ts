import type { Answer } from '../filters/answer.ts'
import type { Wait, Waiter } from '../filters/filter.ts'
import type { Clock } from '../transport/clock.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner, TimerWheel } from '../transport/timer-wheel.ts'

export interface FilterWaitDeps {
  readonly clock: Clock
  readonly wheel: TimerWheel
}

export interface WaitOwner {
  /** The wait is over: null = the request goes on. */
  waited(verdict: Answer | null): void
}

/**
 * A request that waits because a filter wants it to: until somebody resumes it, or the time of the wait is over. Reused
 * with its exchange.
 */
export class FilterWait implements Waiter, TimerOwner {
  /** Ms that the request waited until now, ended waits only. */
  waitedMs = 0
  private readonly deps: FilterWaitDeps
  private readonly owner: WaitOwner
  private readonly timer: Timer
  private wait: Wait | null = null
  private begunAt = 0

  constructor(deps: FilterWaitDeps, owner: WaitOwner) {
    this.deps = deps
    this.owner = owner
    this.timer = new Timer(this, 0)
  }

  start(wait: Wait): void {
    const { clock, wheel } = this.deps
    this.wait = wait
    this.begunAt = clock.now
    wheel.arm(this.timer, clock.now + wait.ms)
    if (wait.call !== null) wait.call.begin(this)
  }

  /** A second answer finds nothing that waits. */
  resume(verdict: Answer | null): void {
    if (this.wait === null) return
    this.deps.wheel.disarm(this.timer)
    this.end()
    this.owner.waited(verdict)
  }

  waitOn(ms: number): void {
    const { clock, wheel } = this.deps
    if (this.wait !== null) wheel.arm(this.timer, clock.refresh() + ms)
  }

  onTimer(): void {
    const { call } = this.wait!
    this.end()
    if (call === null) {
      this.owner.waited(null)
    } else {
      call.cancel(this)
      this.owner.waited(call.late)
    }
  }

  private end(): void {
    this.wait = null
    this.waitedMs += this.deps.clock.refresh() - this.begunAt
  }

  get isOn(): boolean {
    return this.wait !== null
  }

  /** For the next request. */
  reset(): void {
    this.waitedMs = 0
    this.stop()
  }

  /** It waits no more, and nobody is told. */
  stop(): void {
    if (this.wait === null) return
    const { call } = this.wait
    this.wait = null
    this.deps.wheel.disarm(this.timer)
    if (call !== null) call.cancel(this)
  }

  retire(): void {
    this.deps.wheel.drop(this.timer)
  }
}
