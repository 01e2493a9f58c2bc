import type { Clock } from '../contracts/clock.ts'

/** A pause of a loop that others may cut short. One at a time. */
export class WakeablePause {
  readonly #clock: Clock
  #wake: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Resolves after `ms`, or with `wake()`. */
  async wait(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(ms, resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
    this.#wake = undefined
  }

  /** Without effect while nobody waits. */
  wake(): void {
    this.#wake?.()
  }
}
