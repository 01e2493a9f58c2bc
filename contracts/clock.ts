/**
 * Time, handed in: wall time for what people and files see, monotonic time for every waiting and every bound, so that a
 * clock step starts no storm.
 */
export interface Clock {
  /** Epoch ms. */
  wall(): number
  /** ms from an arbitrary start, never back. */
  monotonic(): number
  /** Calls once after `ms`; the answer cancels. Does not keep the process alive. */
  after(ms: number, call: () => void): () => void
}

/** Calls every `ms` until the answer is called. */
export function every(clock: Clock, ms: number, call: () => void): () => void {
  let cancel = (): void => undefined
  const again = (): void => {
    cancel = clock.after(ms, () => {
      again()
      call()
    })
  }
  again()
  return () => cancel()
}

/** The clock of this machine, for composition roots to hand in. */
export const systemClock: Clock = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  after: (ms, call) => {
    // Node turns a longer delay into 1 ms
    const timer = setTimeout(call, Math.min(ms, 2 ** 31 - 1))
    timer.unref()
    return () => clearTimeout(timer)
  },
}
