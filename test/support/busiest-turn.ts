/**
 * Whether anything keeps the loop from everything else: the most processor time of this thread that passed between two
 * looks 10 ms apart, which is one turn and what fits beside it. Not the time on the clock, which on a busy machine is
 * mostly other processes' turns.
 */

const lookMs = 10

/** Looks from now on; `end` answers the most that passed, ms. */
export function watchTurns(): { end(): number } {
  let before = usedMs()
  let most = 0
  const look = (): void => {
    const now = usedMs()
    most = Math.max(most, now - before)
    before = now
  }
  const timer = setInterval(look, lookMs).unref()
  return {
    end: () => {
      clearInterval(timer)
      look()
      return most
    },
  }
}

function usedMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
