/**
 * Figures by service out of the metrics of all workers, for `hostmesh top`: counters, from which two looks make rates.
 */
import type { StatSeries } from '../../../contracts/control-link.ts'

export interface ServiceTraffic {
  readonly reporter: string
  /** Without namespace. */
  readonly service: string
  requests: number
  /** Status 500 and more, a status of gRPC that says the same, or a response flag. */
  failures: number
  /** Upper bounds in ms, without +Inf. */
  bounds: readonly number[]
  /** Requests by bucket, the last one is +Inf. */
  counts: number[]
}

export interface TrafficFigures {
  readonly services: readonly ServiceTraffic[]
  readonly connections: number
  readonly tier: string
}

const labels = {
  reporter: 'reporter',
  service: 'destination_service_name',
  code: 'response_code',
  flags: 'response_flags',
  grpc: 'grpc_response_status',
}
/** Of gRPC, as in spans: what is the side's fault that serves. */
const grpcFailures: ReadonlySet<string> = new Set(['2', '4', '12', '13', '14', '15'])

export function trafficByService(series: readonly StatSeries[]): TrafficFigures {
  const found = new Map<string, ServiceTraffic>()
  const of = (one: StatSeries, values: readonly string[]): ServiceTraffic => {
    const value = (label: string): string => values[one.labelNames.indexOf(label)] ?? '-'
    const [reporter, service] = [value(labels.reporter), value(labels.service)]
    const key = `${reporter}\n${service}`
    let traffic = found.get(key)
    if (traffic === undefined) {
      traffic = { reporter, service, requests: 0, failures: 0, bounds: [], counts: [] }
      found.set(key, traffic)
    }
    return traffic
  }
  let connections = 0
  let tier = 'agent'
  for (const one of series) {
    if (one.name === 'istio_requests_total') {
      const [codeAt, flagsAt] = [one.labelNames.indexOf(labels.code), one.labelNames.indexOf(labels.flags)]
      const grpcAt = one.labelNames.indexOf(labels.grpc)
      for (const { labels: values, value } of one.samples) {
        const traffic = of(one, values)
        traffic.requests += value
        const isFailed =
          Number(values[codeAt]) >= 500 || values[flagsAt] !== '-' || grpcFailures.has(values[grpcAt] ?? '')
        if (isFailed) traffic.failures += value
      }
    } else if (one.name === 'istio_request_duration_milliseconds') {
      for (const { counts = [], labels: values } of one.samples) {
        const traffic = of(one, values)
        traffic.bounds = one.buckets ?? []
        for (const [at, count] of counts.entries()) traffic.counts[at] = (traffic.counts[at] ?? 0) + count
      }
    } else if (one.name === 'hostmesh_downstream_connections') {
      connections = one.samples.reduce((sum, { value }) => sum + value, 0)
    } else if (one.name === 'hostmesh_tier') {
      tier = one.samples.find(({ value }) => value === 1)?.labels[0] ?? tier
    }
  }
  return { services: [...found.values()], connections, tier }
}
