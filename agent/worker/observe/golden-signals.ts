import { canaryGroups } from '../../../contracts/canary.ts'
import type { DurationBucket, GoldenSignals, SignalGroup, Signals } from '../../../contracts/canary.ts'
import { hashText } from '../balance/hashing.ts'
import { durationBounds } from './histogram-bounds.ts'
import type { RequestMetrics } from './request-metrics.ts'
import type { TcpMetrics } from './tcp-metrics.ts'

/** The caller gave up: that says nothing about who served it. */
const callerLeft = 'DC'
/** Of the row of what found no other: nobody knows what came of it. */
const untold = 'other'
/** UNKNOWN, DEADLINE_EXCEEDED, INTERNAL, UNAVAILABLE, DATA_LOSS: what gRPC calls a failure of the server. */
const serverFaults = new Set(['2', '4', '13', '14', '15'])

/** What a worker is compared by while it is a canary, or beside one. Reads every row: asked for some times a minute. */
export function goldenSignals(http: RequestMetrics, tcp: TcpMetrics): GoldenSignals {
  const all = new Counted()
  const groups = new Map<number, Counted>()
  const groupOf = (path: string): Counted => {
    const group = hashText(path, 0) % canaryGroups
    const known = groups.get(group) ?? new Counted()
    groups.set(group, known)
    return known
  }
  for (const { path, code, grpcStatus, flags, count, buckets } of http.outcomes()) {
    if (flags === callerLeft || flags === untold) continue
    const isFailed = code === 0 || code >= 500 || serverFaults.has(grpcStatus)
    for (const counted of [all, groupOf(path)]) counted.add(count, isFailed, buckets)
  }
  for (const { path, flags, count } of tcp.outcomes()) {
    if (flags === callerLeft || flags === untold) continue
    for (const counted of [all, groupOf(path)]) counted.add(count, flags !== '-')
  }
  const told = [...groups].filter(([, counted]) => counted.requests > 0)
  return { ...all.signals(), groups: told.map(([group, counted]): SignalGroup => [group, counted.signals()]) }
}

class Counted {
  requests = 0
  private failed = 0
  private readonly durations = new Float64Array(durationBounds.size)

  add(count: number, isFailed: boolean, buckets?: Float64Array): void {
    this.requests += count
    if (isFailed) this.failed += count
    buckets?.forEach((value, bucket) => (this.durations[bucket]! += value))
  }

  signals(): Signals {
    return { requests: this.requests, failed: this.failed, durations: filled(this.durations) }
  }
}

function filled(durations: Float64Array): DurationBucket[] {
  const { bounds } = durationBounds
  const buckets: DurationBucket[] = []
  durations.forEach((count, index) => {
    const fromMs = bounds[index - 1] ?? 0
    if (count > 0) buckets.push([fromMs, bounds[index] ?? fromMs, count])
  })
  return buckets
}
