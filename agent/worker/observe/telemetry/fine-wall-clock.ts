/** How long the found difference between the two clocks counts before it is found anew, ms. */
const windowMs = 1000
/** Beyond it the wall clock was set. */
const stepMs = 5
/** The clocks are compared so often at most, ms. */
const leastMs = 0.25

/**
 * Turns a monotonic time of now into wall time in epoch ms, with the fraction that `Date.now()` cuts off, so that spans
 * of processes of one host stand in their order: the greatest difference to the monotonic clock that was seen in the
 * last one to two seconds is nearest to the true one. Follows a clock that is slewed or set.
 */
export function fineWallClock(wall: () => number, monotonic: () => number): (at: number) => number {
  let before = Number.NEGATIVE_INFINITY
  let greatest = Number.NEGATIVE_INFINITY
  let until = 0
  let next = Number.NEGATIVE_INFINITY
  return (at) => {
    if (at >= next) {
      const now = monotonic()
      next = now + leastMs
      const difference = wall() - now
      if (now > until || Math.abs(difference - greatest) > stepMs) {
        before = Math.abs(difference - greatest) > stepMs ? difference : greatest
        greatest = difference
        until = now + windowMs
      } else if (difference > greatest) greatest = difference
    }
    return at + Math.max(before, greatest)
  }
}
