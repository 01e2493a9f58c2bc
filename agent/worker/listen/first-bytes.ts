import type { Clock } from '../transport/clock.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner, TimerWheel } from '../transport/timer-wheel.ts'
import type { TransportOwner } from '../transport/transport.ts'
import type { Arriving } from './arriving.ts'

export interface FirstBytesDeps {
  readonly wheel: TimerWheel
  readonly clock: Clock
}

/**
 * The first bytes of an arriving connection, until an intake step has seen enough of them or their time is over.
 * Nothing is consumed. A caller that ends before has asked for nothing. The bound in bytes is the step's own.
 */
export abstract class FirstBytes implements TransportOwner, TimerOwner {
  protected readonly arriving: Arriving
  protected received: Buffer
  protected isOver = false
  private readonly wait: FirstBytesDeps
  private readonly timer: Timer

  constructor(deps: FirstBytesDeps, arriving: Arriving) {
    this.wait = deps
    this.arriving = arriving
    this.received = arriving.received ?? Buffer.alloc(0)
    this.timer = new Timer(this, 0)
  }

  begin(waitMs: number): void {
    const { clock, wheel } = this.wait
    const { transport } = this.arriving
    wheel.arm(this.timer, clock.refresh() + waitMs)
    transport.owner = this
    if (!this.look()) transport.resumeReading()
  }

  onBytes(bytes: Buffer, length: number): void {
    this.received = Buffer.concat([this.received, bytes.subarray(0, length)])
    this.look()
  }

  onEnd(): void {
    this.end()
  }

  onDrained(): void {}

  onClosed(): void {
    this.end()
  }

  abstract onTimer(): void

  /** Looks at what there is. True = that was enough, and `finish` was called. */
  protected abstract look(): boolean

  /** No more is read and no time runs: the connection goes on, or is closed. */
  protected finish(): void {
    this.isOver = true
    this.wait.wheel.drop(this.timer)
    this.arriving.transport.pauseReading()
  }

  protected end(): void {
    if (this.isOver) return
    this.finish()
    this.arriving.end()
  }
}
