/**
 * Figures of requests out of the metrics of all workers, for `hostmesh top` and for the reports to centers: counters,
 * from which two looks make rates.
 */
import type { StatSeries } from '../../../contracts/control-link.ts'

export interface RequestFigures {
  requests: number
  /** Status 500 and more, a status of gRPC that says the same, or a response flag. */
  failures: number
  /** Upper bounds in ms, without +Inf. */
  bounds: readonly number[]
  /** Requests by bucket, the last one is +Inf. */
  counts: number[]
}

export interface ServiceTraffic extends RequestFigures {
  readonly reporter: string
  /** Without namespace. */
  readonly service: string
}

export interface CallerTraffic extends RequestFigures {
  readonly reporter: string
  /** The calling application. */
  readonly source: string
  /** `public/orders`. */
  readonly service: string
}

export interface TrafficFigures {
  readonly services: readonly ServiceTraffic[]
  readonly connections: number
  readonly tier: string
}

const labels = {
  reporter: 'reporter',
  source: 'source_app',
  service: 'destination_service_name',
  namespace: 'destination_service_namespace',
  code: 'response_code',
  flags: 'response_flags',
  grpc: 'grpc_response_status',
}
/** Of gRPC, as in spans: what is the side's fault that serves. */
const grpcFailures: ReadonlySet<string> = new Set(['2', '4', '12', '13', '14', '15'])

export function trafficByService(series: readonly StatSeries[]): TrafficFigures {
  const services = requestFigures(series, [labels.reporter, labels.service]).map(
    ({ values: [reporter, service], figures }) => ({ reporter: reporter!, service: service!, ...figures }),
  )
  let tier = 'agent'
  for (const one of series)
    if (one.name === 'hostmesh_tier') tier = one.samples.find(({ value }) => value === 1)?.labels[0] ?? tier
  return { services, connections: openConnections(series), tier }
}

export function trafficByCaller(series: readonly StatSeries[]): CallerTraffic[] {
  return requestFigures(series, [labels.reporter, labels.source, labels.namespace, labels.service]).map(
    ({ values: [reporter, source, namespace, service], figures }) => ({
      reporter: reporter!,
      source: source!,
      service: `${namespace}/${service}`,
      ...figures,
    }),
  )
}

export function openConnections(series: readonly StatSeries[]): number {
  let connections = 0
  for (const one of series)
    if (one.name === 'hostmesh_downstream_connections')
      connections = one.samples.reduce((sum, { value }) => sum + value, 0)
  return connections
}

/** Which of the buckets holds the 99th percentile; undefined = nothing was counted. Pure. */
export function p99Bucket(counts: readonly number[]): number | undefined {
  const all = counts.reduce((sum, count) => sum + count, 0)
  let below = 0
  for (const [at, count] of counts.entries()) {
    below += count
    if (all > 0 && below >= all * 0.99) return at
  }
  return undefined
}

/** One row for each combination of values of these labels. */
function requestFigures(
  series: readonly StatSeries[],
  names: readonly string[],
): { readonly values: readonly string[]; readonly figures: RequestFigures }[] {
  const found = new Map<string, { readonly values: readonly string[]; readonly figures: RequestFigures }>()
  for (const one of series) {
    const isCount = one.name === 'istio_requests_total'
    if (!isCount && one.name !== 'istio_request_duration_milliseconds') continue
    const places = names.map((name) => one.labelNames.indexOf(name))
    const [codeAt, flagsAt, grpcAt] = [labels.code, labels.flags, labels.grpc].map((name) =>
      one.labelNames.indexOf(name),
    ) as [number, number, number]
    for (const { labels: all, value, counts = [] } of one.samples) {
      const values = places.map((place) => all[place] ?? '-')
      const key = values.join('\n')
      let row = found.get(key)
      if (row === undefined) {
        row = { values, figures: { requests: 0, failures: 0, bounds: [], counts: [] } }
        found.set(key, row)
      }
      const { figures } = row
      if (isCount) {
        figures.requests += value
        const isFailed = Number(all[codeAt]) >= 500 || all[flagsAt] !== '-' || grpcFailures.has(all[grpcAt] ?? '')
        if (isFailed) figures.failures += value
      } else {
        figures.bounds = one.buckets ?? []
        for (const [at, count] of counts.entries()) figures.counts[at] = (figures.counts[at] ?? 0) + count
      }
    }
  }
  return [...found.values()]
}
