import { isRefusal } from '../filters/answer.ts'
import type { Answer } from '../filters/answer.ts'
import type { LiveStream } from '../listen/movable.ts'
import type { Parkable, ParkedNames } from '../mesh/parked-names.ts'
import type { Clock } from '../transport/clock.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner, TimerWheel } from '../transport/timer-wheel.ts'
import type { CallerTurn } from './caller-turn.ts'
import { ExchangeFacts } from './exchange-facts.ts'
import type { FilterWait } from './filter-wait.ts'
import { liveFacts } from './live-facts.ts'
import type { MeshView } from './mesh-view.ts'

/** How long the whole of an exchange may take, and what is told of it while it runs. */
export abstract class ExchangeTime extends ExchangeFacts implements TimerOwner, Parkable {
  startedAt = 0
  /** Whether the head became whole, so that its facts may be read. */
  hasRequest = false
  readonly wholeTimer: Timer = new Timer(this, 0)
  /** Waits for control to answer about a name; set by whoever parks it. */
  isParked = false
  abstract readonly wait: FilterWait
  protected abstract override readonly deps: {
    readonly clock: Clock
    readonly wheel: TimerWheel
    readonly mesh: MeshView
    readonly parked: Pick<ParkedNames, 'forget'>
  }

  protected abstract readonly turn: CallerTurn

  abstract onTimer(): void
  abstract unpark(isTimeout: boolean): void

  get facts(): LiveStream['facts'] {
    return this.hasRequest ? liveFacts(this) : null
  }
  /** Answers at once. */
  abstract tell(said: Answer): void

  /** Ends the exchange without the reply of an endpoint; a caller that is refused too often hears of it later. */
  answer(said: Answer): void {
    if (!isRefusal(said) || !this.turn.holdsBack(said)) {
      this.tell(said)
      return
    }
    // what it waited for may not begin it any more
    this.tries.stop()
    this.wait.stop()
    if (this.isParked) this.deps.parked.forget(this)
    this.deps.wheel.disarm(this.wholeTimer)
  }

  /** A call of gRPC has the deadline that its caller set, and no other. */
  protected armWhole(): void {
    const { wheel } = this.deps
    const { deadline, isOn } = this.call
    if (!isOn) wheel.arm(this.wholeTimer, this.startedAt + this.wait.waitedMs + this.allowedMs)
    else if (deadline > 0) wheel.arm(this.wholeTimer, deadline)
  }

  protected keepRouteTimeout(): void {
    const timeoutMs = this.routing.route?.spec.timeoutMs ?? 0
    if (timeoutMs === 0) return
    const deadline = this.startedAt + this.wait.waitedMs + timeoutMs
    this.call.boundBy(deadline)
    if (deadline < this.wholeTimer.deadline) this.deps.wheel.arm(this.wholeTimer, deadline)
  }

  /** Its reply has begun: only the caller's deadline and the route's time go on. */
  protected keepBounds(): void {
    const { route } = this.routing
    const isBounded = this.call.deadline > 0 || (route !== null && route.spec.timeoutMs > 0)
    if (!isBounded) this.deps.wheel.disarm(this.wholeTimer)
  }
}
