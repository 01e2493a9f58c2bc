/**
 * The numbers of all workers and of control as one: same name and labels are added up, or the highest is taken where
 * the series says so. The last numbers of a worker that died are kept, so that no counter ever falls while this control
 * lives. A worker whose link broke is taken for one that died until it dials again: its numbers are then its own again,
 * and are not added twice.
 */
import type { Metric } from 'prom-client'
import type { StatSample, StatSeries, StatsDump } from '../../../contracts/control-link.ts'

interface Dump {
  /** Of the process, which may have the pid of one that died. */
  readonly startedAt: number
  readonly series: readonly StatSeries[]
}

/** Series of one worker; more are cut, which a broken worker alone can reach. */
const maxSeries = 2000
/** Workers that may dial again; beyond it those that left first are taken for dead. */
const maxAway = 64

export class StatsMerger {
  private readonly live = new Map<number, Dump>()
  /** By pid, without gauges: dead, or without a link for a while. */
  private readonly away = new Map<number, Dump>()
  private retired: StatSeries[] = []

  /** Adds the counters of workers that are gone, as an earlier control exported them. */
  adopt(retired: unknown): void {
    this.retired = mergeSeries([this.retired, parseSeries(retired)])
  }

  /** The newest dump of a living worker. */
  update(pid: number, dump: unknown): void {
    const { series, startedAt } = Object(dump) as Partial<StatsDump>
    const known = this.live.get(pid) ?? this.away.get(pid)
    const now = { startedAt: startedAt ?? 0, series: parseSeries(series) }
    this.away.delete(pid)
    this.live.set(pid, now)
    if (known !== undefined && known.startedAt !== now.startedAt) this.retire(known)
  }

  /**
   * Workers that have a link; the counters of all others are kept, their gauges are dropped. Answers whether one is
   * gone or came back.
   */
  retain(pids: ReadonlySet<number>): boolean {
    let isChanged = false
    for (const [pid, dump] of this.live) {
      if (pids.has(pid)) continue
      this.live.delete(pid)
      this.away.set(pid, { ...dump, series: withoutGauges(dump) })
      isChanged = true
    }
    for (const [pid, dump] of this.away) {
      if (pids.has(pid)) this.live.set(pid, dump)
      else if (this.away.size > maxAway) this.retire(dump)
      else continue
      this.away.delete(pid)
      isChanged = true
    }
    return isChanged
  }

  private retire(dump: Dump): void {
    this.retired = mergeSeries([this.retired, withoutGauges(dump)])
  }

  /** What a successor has to start with so that its sums do not fall. */
  exportRetired(): readonly StatSeries[] {
    return mergeSeries([this.retired, ...seriesOf(this.away)])
  }

  reset(): void {
    this.retired = []
    this.away.clear()
    this.live.clear()
  }

  /** A gauge that control sets itself (tier, snapshot version) is a fact of the host, not a sum. */
  merged(own: readonly StatSeries[]): StatSeries[] {
    const facts = new Set(own.filter((one) => one.kind === 'gauge').map((one) => one.name))
    const workers = mergeSeries([this.retired, ...seriesOf(this.away), ...seriesOf(this.live)])
    const made = mergeSeries([own, workers.filter((one) => !facts.has(one.name))])
    return made.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }
}

function withoutGauges({ series }: Dump): StatSeries[] {
  return series.filter((one) => one.kind !== 'gauge')
}

function seriesOf(dumps: ReadonlyMap<number, Dump>): (readonly StatSeries[])[] {
  return [...dumps.values()].map(({ series }) => series)
}

/** Adds up samples of the same name and labels. Series that disagree about kind, labels or buckets keep the first. */
export function mergeSeries(dumps: readonly (readonly StatSeries[])[]): StatSeries[] {
  const byName = new Map<string, { series: StatSeries; samples: Map<string, StatSample> }>()
  for (const dump of dumps) {
    for (const series of dump) {
      let entry = byName.get(series.name)
      if (entry === undefined) {
        entry = { series, samples: new Map() }
        byName.set(series.name, entry)
      }
      const { kind, labelNames, buckets } = entry.series
      const isSame =
        kind === series.kind &&
        labelNames.join() === series.labelNames.join() &&
        (buckets ?? []).join() === (series.buckets ?? []).join()
      if (!isSame) continue
      for (const sample of series.samples) {
        const key = sample.labels.join('\u0000')
        const before = entry.samples.get(key)
        entry.samples.set(key, before === undefined ? sample : combine(series, before, sample))
      }
    }
  }
  return [...byName.values()].map(({ series, samples }) => ({ ...series, samples: [...samples.values()] }))
}

/** Of workers of a release before this one, whose series do not say how they combine. */
const highestOf = /_max(?:_[a-z]+)?$|_endpoints$|_panic$|_state$|_oldest_request_seconds$|_shed_share$/

function combine(series: StatSeries, a: StatSample, b: StatSample): StatSample {
  const isHighest = series.combine === 'max' || highestOf.test(series.name)
  const value = isHighest ? Math.max(a.value, b.value) : a.value + b.value
  if (a.counts === undefined || b.counts === undefined) return { labels: a.labels, value }
  return { labels: a.labels, value, counts: a.counts.map((count, at) => count + (b.counts![at] ?? 0)) }
}

/** Prometheus's text format, escaped and typed by prom-client. */
export async function prometheusText(series: readonly StatSeries[]): Promise<string> {
  // loaded with the first scrape: a host that nobody scrapes does not pay its memory
  const { Registry } = await import('prom-client')
  const registry = new Registry()
  for (const one of series) registry.registerMetric(asMetric(one))
  return registry.metrics()
}

interface MetricValue {
  readonly metricName?: string
  readonly labels: Record<string, string | number>
  readonly value: number
}

/** prom-client writes whatever answers `get()`; its own classes can only count up by themselves. */
function asMetric(series: StatSeries): Metric {
  const values = series.samples.flatMap((sample) => valuesOf(series, sample))
  return {
    name: series.name,
    get: () => Promise.resolve({ name: series.name, help: series.help, type: series.kind, values, aggregator: 'sum' }),
  } as unknown as Metric
}

function valuesOf(series: StatSeries, sample: StatSample): MetricValue[] {
  const labels: Record<string, string> = {}
  for (const [at, name] of series.labelNames.entries()) labels[name] = sample.labels[at] ?? ''
  if (series.kind !== 'histogram') return [{ labels, value: sample.value }]
  const { name, buckets = [] } = series
  const counts = sample.counts ?? []
  const made: MetricValue[] = []
  let sum = 0
  for (const [at, bound] of buckets.entries()) {
    sum += counts[at] ?? 0
    made.push({ metricName: `${name}_bucket`, labels: { ...labels, le: bound }, value: sum })
  }
  sum += counts[buckets.length] ?? 0
  made.push({ metricName: `${name}_bucket`, labels: { ...labels, le: '+Inf' }, value: sum })
  made.push({ metricName: `${name}_sum`, labels, value: sample.value })
  made.push({ metricName: `${name}_count`, labels, value: sum })
  return made
}

/** A worker's dump as far as it is what the contract says. */
function parseSeries(value: unknown): StatSeries[] {
  if (!Array.isArray(value)) return []
  return (value as StatSeries[])
    .slice(0, maxSeries)
    .filter(
      (one) =>
        typeof one === 'object' &&
        one !== null &&
        typeof one.name === 'string' &&
        /^[A-Za-z_:][A-Za-z0-9_:]*$/.test(one.name) &&
        (one.kind === 'counter' || one.kind === 'gauge' || one.kind === 'histogram') &&
        Array.isArray(one.labelNames) &&
        Array.isArray(one.samples) &&
        one.samples.every((sample) => Array.isArray(sample?.labels) && Number.isFinite(sample.value)),
    )
}
