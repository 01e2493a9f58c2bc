/**
 * Upper bounds of Istio's standard histograms and the way from a value to its bucket: one table read for values below
 * 1024, a short walk above. Source: Istio's default buckets for milliseconds and bytes (Envoy's stats, prometheus
 * format).
 */
export class HistogramBounds {
  readonly bounds: readonly number[]
  private readonly small = new Uint8Array(1025)

  constructor(bounds: readonly number[]) {
    this.bounds = bounds
    for (let value = 0; value <= 1024; value++) this.small[value] = this.walk(value)
  }

  /** Number of buckets, +Inf included. */
  get size(): number {
    return this.bounds.length + 1
  }

  /** Index of the first bound that is not below `value`; the last index is +Inf. */
  bucketOf(value: number): number {
    if (value <= 1024) {
      // Whole values between two integers share a bucket unless a bound lies between them: only 0.5 does.
      return value <= 0.5 ? this.walk(value) : this.small[Math.ceil(value)]!
    }
    return this.walk(value)
  }

  private walk(value: number): number {
    let index = 0
    while (index < this.bounds.length && this.bounds[index]! < value) index++
    return index
  }
}

export const durationBounds = new HistogramBounds([
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
])
export const byteBounds = new HistogramBounds([
  100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000,
])
