/** A clock that only moves when a test says so. */
import type { Clock } from '../../agent/control/clock.ts'

export interface ManualClock extends Clock {
  advance(ms: number): void
  /** Steps the wall clock alone, as an operator or NTP would. */
  jump(ms: number): void
}

export function manualClock(wallStart = 1_700_000_000_000): ManualClock {
  let now = 0
  let wallOffset = wallStart
  const timers = new Set<{ at: number; call: () => void }>()
  return {
    wall: () => wallOffset + now,
    monotonic: () => now,
    after: (ms, call) => {
      const timer = { at: now + ms, call }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    jump: (ms) => {
      wallOffset += ms
    },
    advance: (ms) => {
      const end = now + ms
      for (;;) {
        const next = [...timers].filter((timer) => timer.at <= end).toSorted((a, b) => a.at - b.at)[0]
        if (next === undefined) break
        timers.delete(next)
        now = Math.max(now, next.at)
        next.call()
      }
      now = end
    },
  }
}
