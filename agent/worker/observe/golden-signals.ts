import type { DurationBucket, GoldenSignals } from '../../../contracts/canary.ts'
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
  let requests = 0
  let failed = 0
  const durations = new Float64Array(durationBounds.size)
  for (const { code, grpcStatus, flags, count, buckets } of http.outcomes()) {
    if (flags === callerLeft || flags === untold) continue
    requests += count
    if (code === 0 || code >= 500 || serverFaults.has(grpcStatus)) failed += count
    buckets.forEach((value, bucket) => (durations[bucket]! += value))
  }
  for (const { flags, count } of tcp.outcomes()) {
    if (flags === callerLeft || flags === untold) continue
    requests += count
    if (flags !== '-') failed += count
  }
  return { requests, failed, durations: filled(durations) }
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
