import type { Clock } from '../contracts/clock.ts'

/** A pause of a loop that others may cut short. One at a time. */
export class WakeablePause {
  private readonly clock: Clock
  private wakeUp: (() => void) | undefined

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** Resolves after `ms`, or with `wake()`. */
  async wait(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = this.clock.after(ms, resolve)
      this.wakeUp = () => {
        cancel()
        resolve()
      }
    })
    this.wakeUp = undefined
  }

  /** Without effect while nobody waits. */
  wake(): void {
    this.wakeUp?.()
  }
}
