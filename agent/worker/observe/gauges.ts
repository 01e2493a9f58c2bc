import type { StatSeries } from '../../../contracts/control-link.ts'
import type { Upstream } from '../connect/upstream.ts'
import type { ClusterNumbers } from '../balance/types.ts'
import { tallyMetrics } from './tallies.ts'
import type { Tallies } from './tallies.ts'

const clusterLabels = ['cluster']

/** `highest`: a gauge of which every worker has its own word about the same thing. */
type Kind = 'gauge' | 'highest' | 'counter'

const clusterMetrics: readonly (readonly [keyof ClusterNumbers, Kind, string, string])[] = [
  ['activeRequests', 'gauge', 'hostmesh_cluster_active_requests', 'Requests and TCP connections in hand'],
  [
    'unansweredRequests',
    'gauge',
    'hostmesh_cluster_unanswered_requests',
    'Requests without a reply head, which the adaptive limit bounds',
  ],
  ['pendingRequests', 'gauge', 'hostmesh_cluster_pending_requests', 'Requests that wait for a connection'],
  ['connections', 'gauge', 'hostmesh_cluster_connections', 'Connections to endpoints'],
  ['activeRetries', 'gauge', 'hostmesh_cluster_active_retries', 'Retries in flight'],
  ['endpoints', 'highest', 'hostmesh_cluster_endpoints', 'Endpoints behind the destination'],
  ['usableEndpoints', 'highest', 'hostmesh_cluster_usable_endpoints', 'Endpoints that may be picked'],
  ['ejectedEndpoints', 'highest', 'hostmesh_cluster_ejected_endpoints', 'Endpoints taken out by outlier detection'],
  ['panic', 'highest', 'hostmesh_cluster_panic', '1 while unusable endpoints are used too'],
  ['breakerState', 'highest', 'hostmesh_cluster_breaker_state', '0 closed, 1 half-open, 2 open'],
  [
    'requestOverflows',
    'counter',
    'hostmesh_cluster_request_overflows_total',
    'Requests refused at the limit on requests',
  ],
  [
    'pendingOverflows',
    'counter',
    'hostmesh_cluster_pending_overflows_total',
    'Requests refused at the limit on waiting requests',
  ],
  [
    'connectionOverflows',
    'counter',
    'hostmesh_cluster_connection_overflows_total',
    'Times the limit on connections was hit',
  ],
  ['retryOverflows', 'counter', 'hostmesh_cluster_retry_overflows_total', 'Retries refused by limit or budget'],
  ['breakerOpenings', 'counter', 'hostmesh_cluster_breaker_openings_total', 'Times the circuit breaker opened'],
  ['breakerRefusals', 'counter', 'hostmesh_cluster_breaker_refusals_total', 'Requests refused by the open breaker'],
  [
    'concurrencyRefusals',
    'counter',
    'hostmesh_cluster_concurrency_refusals_total',
    'Requests refused at the adaptive limit on requests',
  ],
  ['concurrencyLimit', 'gauge', 'hostmesh_cluster_concurrency_limit', 'Adaptive limit on requests, 0 = none'],
  [
    'admissionRefusals',
    'counter',
    'hostmesh_cluster_admission_refusals_total',
    'Requests refused because too much of the destination fails',
  ],
  [
    'callerOverflows',
    'counter',
    'hostmesh_cluster_caller_overflows_total',
    'Requests refused because their caller has its share or its limit',
  ],
  ['ejections', 'counter', 'hostmesh_cluster_ejections_total', 'Ejections by outlier detection'],
  ['picksWithoutEndpoint', 'counter', 'hostmesh_cluster_no_endpoint_total', 'Requests for which there was no endpoint'],
]

/**
 * Gauges and counters of every destination in use; the labels are cluster names, so their number is the number of
 * destinations.
 */
export function clusterSeries(upstreams: Iterable<Upstream>): StatSeries[] {
  const all = [...upstreams]
  const series = clusterMetrics.map(([field, kind, name, help]): StatSeries => ({
    name,
    ...combined(kind),
    help,
    labelNames: clusterLabels,
    samples: all.map(({ cluster }) => ({ labels: [cluster.name], value: cluster.numbers[field] })),
  }))
  series.push({
    name: 'hostmesh_pool_idle_connections',
    kind: 'gauge',
    help: 'Idle HTTP connections to endpoints',
    labelNames: clusterLabels,
    samples: all.map(({ cluster, pools }) => ({
      labels: [cluster.name],
      value: [...pools.pools].reduce((sum, pool) => sum + pool.idle.length, 0),
    })),
  })
  return series
}

export function tallySeries(tallies: Tallies): StatSeries[] {
  return tallyMetrics.map(([field, name, help]) => single(name, 'counter', help, tallies[field]))
}

export function single(name: string, kind: Kind, help: string, value: number): StatSeries {
  return { name, ...combined(kind), help, labelNames: [], samples: [{ labels: [], value }] }
}

function combined(kind: Kind): Pick<StatSeries, 'kind' | 'combine'> {
  return kind === 'highest' ? { kind: 'gauge', combine: 'max' } : { kind }
}
