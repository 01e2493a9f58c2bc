/**
 * The clock of this process, whose wall time a drill can step; what waits and what is bounded goes by monotonic time.
 */
import type { Clock } from './clock.ts'

export interface SteppedClock extends Clock {
  /** ms to either side, 0 = as the machine says. */
  setStep(ms: number): void
}

export function steppedClock(inner: Clock): SteppedClock {
  let stepMs = 0
  return {
    wall: () => inner.wall() + stepMs,
    monotonic: () => inner.monotonic(),
    after: (ms, call) => inner.after(ms, call),
    setStep: (ms) => void (stepMs = ms),
  }
}
