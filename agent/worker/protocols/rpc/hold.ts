import type { Clock } from '../../transport/clock.ts'
import { Timer } from '../../transport/timer-wheel.ts'
import type { TimerOwner, TimerWheel } from '../../transport/timer-wheel.ts'
import { holdMs, openMs } from './limits.ts'

export interface HoldOwner {
  /** It still waits to be moved. */
  readonly wantsHold: boolean
  /** `isOn` changed. */
  onHold(): void
}

/**
 * The times in which a connection that is to move takes no new requests, so that it owes nothing at some moment. In
 * between it serves as ever, for a call that takes long must not stop all others of its connection.
 */
export class Hold implements TimerOwner {
  isOn = false
  private readonly wheel: TimerWheel
  private readonly clock: Clock
  private readonly owner: HoldOwner
  private readonly timer: Timer

  constructor(wheel: TimerWheel, clock: Clock, owner: HoldOwner) {
    this.wheel = wheel
    this.clock = clock
    this.owner = owner
    this.timer = new Timer(this, 0)
  }

  start(): void {
    if (!this.isOn) this.set(true)
  }

  stop(): void {
    this.wheel.drop(this.timer)
    if (!this.isOn) return
    this.isOn = false
    this.owner.onHold()
  }

  private set(isOn: boolean): void {
    this.isOn = isOn
    this.wheel.arm(this.timer, this.clock.refresh() + (isOn ? holdMs : openMs))
    this.owner.onHold()
  }

  onTimer(): void {
    if (this.isOn || this.owner.wantsHold) this.set(!this.isOn)
  }
}
