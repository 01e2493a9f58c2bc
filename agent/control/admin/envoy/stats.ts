/**
 * `/stats?format=json` as Envoy answers it: counters and gauges as rows, histograms as quantiles over the life of the
 * agent.
 */
export interface StatRow {
  readonly name: string
  readonly value: number
  /** Of a histogram: upper bounds without +Inf, and the count of each bucket, the last one +Inf. */
  readonly buckets: readonly number[] | undefined
  readonly counts: readonly number[] | undefined
}

const quantiles = [0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100]

export function envoyStats(rows: readonly StatRow[]): object {
  const histograms = rows.filter((row) => row.counts !== undefined)
  return {
    stats: [
      ...rows.filter((row) => row.counts === undefined).map(({ name, value }) => ({ name, value })),
      {
        histograms: {
          supported_quantiles: quantiles,
          computed_quantiles: histograms.map(({ name, buckets = [], counts = [] }) => ({
            name,
            values: quantiles.map((share) => ({ interval: null, cumulative: quantile(buckets, counts, share / 100) })),
          })),
        },
      },
    ],
  }
}

/**
 * Between the bounds of its bucket in proportion, as Prometheus does; null without a value. In the last bucket its
 * lower bound.
 */
function quantile(bounds: readonly number[], counts: readonly number[], share: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return null
  let below = 0
  for (const [at, count] of counts.entries()) {
    if (count > 0 && below + count >= share * total) {
      const from = at === 0 ? 0 : bounds[at - 1]!
      const to = bounds[at]
      return to === undefined ? from : from + ((to - from) * Math.max(0, share * total - below)) / count
    }
    below += count
  }
  return bounds.at(-1) ?? null
}
