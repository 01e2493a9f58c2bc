/**
 * How many hosts ask about a domain, so that each of them knows its share when this center is gone. Bound: 10,000 hosts
 * of a domain; further ones are not counted.
 */
const maxHosts = 10_000
/** A host that has not asked for so long does not count. */
const forgottenMs = 60_000
const lookMs = 1000

export class AskingHosts {
  private readonly seen = new Map<string, number>()
  private count = 0
  private lookedAt = -Infinity

  /** `now`: monotonic ms. How many there are, this one included. */
  asked(host: string, now: number): number {
    const known = this.seen.delete(host)
    if (known || this.seen.size < maxHosts) this.seen.set(host, now)
    if (!known || now - this.lookedAt >= lookMs) this.look(now)
    return this.count
  }

  /** The order of the map is that of the last questions. */
  private look(now: number): void {
    this.lookedAt = now
    for (const [host, at] of this.seen) {
      if (now - at < forgottenMs) break
      this.seen.delete(host)
    }
    this.count = Math.max(1, this.seen.size)
  }
}
