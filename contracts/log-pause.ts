/** The usual time between two lines about one thing, ms. */
const usualMs = 10_000
/** Kinds that are remembered; one more, and all are forgotten. */
const maxKinds = 1000

/**
 * Whether a line of the log is written that anybody may cause again and again: the first one at once, and no other of
 * its kind within the pause behind it. What happened meanwhile is in a metric.
 */
export class LogPause {
  private readonly ms: number
  private readonly saidAt = new Map<string, number>()

  constructor(ms = usualMs) {
    this.ms = ms
  }

  /**
   * Whoever hears true writes the line; its pause begins. `now`: ms of a clock, which may be set. `kind`: kinds have
   * pauses of their own.
   */
  allows(now: number, kind = ''): boolean {
    const { saidAt } = this
    const at = saidAt.get(kind)
    if (at !== undefined && Math.abs(now - at) < this.ms) return false
    if (at === undefined && saidAt.size >= maxKinds) saidAt.clear()
    saidAt.set(kind, now)
    return true
  }
}
