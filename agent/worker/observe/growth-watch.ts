/**
 * Notices that a worker has grown and grows no more. What compiled its code under load has freed all of it by then, in
 * small pieces that stay resident: 25 MiB after the first seconds of load.
 */
const leastBytes = 8 << 20
/** Less than this from look to look is no growth. */
const stillBytes = 1 << 20

export class GrowthWatch {
  private readonly resident: () => number
  private readonly onGrown: () => void
  /** The least since the last time. */
  private least = Number.POSITIVE_INFINITY
  private before = 0

  constructor(resident: () => number, onGrown: () => void) {
    this.resident = resident
    this.onGrown = onGrown
  }

  /** Every second or so; the first one is a beginning. */
  look(): void {
    const now = this.resident()
    const isStill = now - this.before < stillBytes
    this.before = now
    this.least = Math.min(this.least, now)
    if (!isStill || now - this.least < leastBytes) return
    this.onGrown()
    this.before = this.resident()
    this.least = this.before
  }
}
