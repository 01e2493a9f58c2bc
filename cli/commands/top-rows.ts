/** What `hostmesh top` shows of two looks at the counters of a host. */

export interface ServiceCounters {
  readonly reporter: string
  readonly service: string
  readonly requests: number
  readonly failures: number
  readonly bounds: readonly number[]
  readonly counts: readonly number[]
}

export interface TrafficLook {
  readonly host: string
  readonly generation: number
  readonly generations: number
  readonly workers: number
  readonly restarts: number
  readonly connections: number
  readonly tier: string
  readonly registries: readonly { readonly name: string; readonly connected: boolean }[]
  readonly services: readonly ServiceCounters[]
}

export interface TopRow {
  readonly service: string
  readonly side: 'out' | 'in'
  readonly perSecond: number
  /** 0 to 1, of the requests between the two looks. */
  readonly failedShare: number
  /** ms, Infinity above the last bucket; NaN without a request. */
  readonly p50: number
  readonly p99: number
}

/** Columns by which rows can be sorted, and the key that chooses each. */
export const sortKeys = { service: 's', rate: 'r', failed: 'f', p50: 'm', p99: 'p' } as const
export type SortColumn = keyof typeof sortKeys

const weights: Readonly<Record<Exclude<SortColumn, 'service'>, (row: TopRow) => number>> = {
  rate: (row) => row.perSecond,
  failed: (row) => row.failedShare,
  p50: (row) => row.p50,
  p99: (row) => row.p99,
}

/** The highest first, names from a to z; what is equal by rate, then by name. */
export function sortRows(rows: readonly TopRow[], by: SortColumn): TopRow[] {
  const byName = (a: TopRow, b: TopRow): number => (a.service < b.service ? -1 : a.service > b.service ? 1 : 0)
  if (by === 'service') return rows.toSorted((a, b) => byName(a, b) || b.perSecond - a.perSecond)
  const weight = (row: TopRow): number => {
    const value = weights[by](row)
    return Number.isNaN(value) ? -1 : value
  }
  const difference = (a: number, b: number): number => (a === b ? 0 : b - a)
  return rows.toSorted(
    (a, b) => difference(weight(a), weight(b)) || difference(a.perSecond, b.perSecond) || byName(a, b),
  )
}

/** Busiest first. Counters that fell (`/reset_counters`) count from zero. */
export function topRows(before: TrafficLook, now: TrafficLook, seconds: number): TopRow[] {
  const earlier = new Map(before.services.map((one) => [`${one.reporter}\n${one.service}`, one]))
  const rows = now.services.map((service): TopRow => {
    const last = earlier.get(`${service.reporter}\n${service.service}`)
    const since = (value: number, was: number | undefined): number =>
      was === undefined || value < was ? value : value - was
    const requests = since(service.requests, last?.requests)
    const failures = Math.min(requests, since(service.failures, last?.failures))
    const counts = service.counts.map((count, at) => since(count, last?.counts[at]))
    return {
      service: service.service,
      side: service.reporter === 'destination' ? 'in' : 'out',
      perSecond: requests / seconds,
      failedShare: requests === 0 ? 0 : failures / requests,
      p50: quantile(service.bounds, counts, 0.5),
      p99: quantile(service.bounds, counts, 0.99),
    }
  })
  return sortRows(rows, 'rate')
}

/** Between the bounds of its bucket in proportion, as Prometheus does. */
function quantile(bounds: readonly number[], counts: readonly number[], share: number): number {
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return Number.NaN
  let below = 0
  for (const [at, count] of counts.entries()) {
    if (below + count >= share * total && count > 0) {
      const high = bounds[at]
      if (high === undefined) return Infinity
      const low = at === 0 ? 0 : bounds[at - 1]!
      return low + ((high - low) * (share * total - below)) / count
    }
    below += count
  }
  return Infinity
}
