/** The window slides in this many steps. */
const slices = 10

/** How many ended in the last `windowMs`, and how many of them are marked. Monotonic ms. */
export class SlidingWindow {
  ended = 0
  marked = 0
  private windowMs: number
  private readonly endedBy = new Int32Array(slices)
  private readonly markedBy = new Int32Array(slices)
  private slice = 0

  constructor(windowMs: number) {
    this.windowMs = windowMs
  }

  /** One of another length begins empty. */
  renew(windowMs: number): void {
    if (windowMs === this.windowMs) return
    this.windowMs = windowMs
    this.clear()
  }

  record(isMarked: boolean, now: number): void {
    this.slide(now)
    const at = this.slice % slices
    this.endedBy[at] = this.endedBy[at]! + 1
    this.ended++
    if (!isMarked) return
    this.markedBy[at] = this.markedBy[at]! + 1
    this.marked++
  }

  slide(now: number): void {
    const slice = Math.floor((now * slices) / this.windowMs)
    if (slice === this.slice) return
    if (slice - this.slice >= slices || slice < this.slice) {
      this.clear()
    } else {
      for (let passed = this.slice + 1; passed <= slice; passed++) {
        const at = passed % slices
        this.ended -= this.endedBy[at]!
        this.marked -= this.markedBy[at]!
        this.endedBy[at] = 0
        this.markedBy[at] = 0
      }
    }
    this.slice = slice
  }

  clear(): void {
    this.endedBy.fill(0)
    this.markedBy.fill(0)
    this.ended = 0
    this.marked = 0
  }
}
