import type { StatsDump } from '../../../contracts/control-link.ts'
import type { MeshState } from '../mesh/mesh-state.ts'
import type { ParkedNames } from '../mesh/parked-names.ts'
import type { WorkerCallers } from '../callers/worker-callers.ts'
import type { Acceptor } from '../listen/acceptor.ts'
import type { RelayAdmission } from '../listen/relay-admission.ts'
import { clusterSeries, single, tallySeries } from './gauges.ts'
import type { LoopLag } from './loop-lag.ts'
import type { MessageMetrics } from './message-metrics.ts'
import type { RequestMetrics } from './request-metrics.ts'
import type { Tallies } from './tallies.ts'
import type { TcpMetrics } from './tcp-metrics.ts'
import type { TlsCounts } from '../transport/tls/tls-counts.ts'
import type { UdpPlane } from '../udp/udp-plane.ts'
import type { TransportKind } from '../transport/transport.ts'

interface Samples {
  samples(): { readonly labels: readonly string[]; readonly value: number }[]
}

export interface StatsSources {
  readonly metrics: RequestMetrics
  readonly messages: MessageMetrics
  readonly tcpMetrics: TcpMetrics
  readonly tallies: Tallies
  readonly state: MeshState
  readonly parked: ParkedNames
  readonly live: { readonly active: number }
  readonly inHand: { figures(): { readonly open: number; readonly oldestMs: number } }
  readonly bulk: { readonly heldBytes: number }
  readonly mirrors: {
    readonly inFlight: number
    readonly sent: number
    /** By reason. */
    readonly skipped: ReadonlyMap<string, number>
    readonly failed: number
  }
  readonly filters: {
    /** Labels are filter and verdict. */
    readonly verdicts: Samples
    /** Labels are policy and decision. */
    readonly decisions: Samples
    readonly authorizers: Samples
    /** Labels are provider and result. */
    readonly limits: Samples
    readonly userFilters: { readonly failures: Samples; stateSamples: Samples['samples'] }
  }
  readonly tls: Pick<TlsCounts, 'series'>
  readonly udp: Pick<UdpPlane, 'series'>
  readonly callers: Pick<WorkerCallers, 'series'>
  readonly acceptor: Acceptor
  readonly lag: Pick<LoopLag, 'maxMs'>
  readonly relays: RelayAdmission
  /** Epoch ms. */
  readonly startedAt: number
  readonly transport: TransportKind
}

/** Everything that this worker counts, as Prometheus wants it. */
export function statsDump(sources: StatsSources): StatsDump {
  const { acceptor, callers, lag, relays, transport } = sources
  const { oldestMs, open } = sources.inHand.figures()
  const { bulk, live, messages, metrics, mirrors, parked, state, tallies, tcpMetrics, tls, udp } = sources
  const { authorizers, decisions, limits, userFilters, verdicts } = sources.filters
  return {
    startedAt: sources.startedAt,
    series: [
      ...metrics.series(),
      ...messages.series(),
      ...tcpMetrics.series(),
      ...clusterSeries(state.everyUpstream()),
      ...tallySeries(tallies),
      ...tls.series(),
      ...udp.series(),
      ...callers.series(),
      {
        name: 'hostmesh_filter_total',
        kind: 'counter',
        help: 'Verdicts of filters on requests',
        labelNames: ['filter', 'verdict'],
        samples: verdicts.samples(),
      },
      {
        name: 'hostmesh_authorization_total',
        kind: 'counter',
        help: 'Decisions of authorization policies; policy none: no ALLOW policy matched',
        labelNames: ['policy', 'decision'],
        samples: decisions.samples(),
      },
      {
        name: 'hostmesh_ext_authz_total',
        kind: 'counter',
        help: 'Requests that external authorizers were asked about, by what came of it',
        labelNames: ['provider', 'result'],
        samples: authorizers.samples(),
      },
      {
        name: 'hostmesh_ratelimit_total',
        kind: 'counter',
        help: 'Requests with a limit that hosts share, by what came of it',
        labelNames: ['provider', 'result'],
        samples: limits.samples(),
      },
      {
        name: 'hostmesh_filter_failures_total',
        kind: 'counter',
        help: 'Failures of filters of users, by kind',
        labelNames: ['filter', 'kind'],
        samples: userFilters.failures.samples(),
      },
      {
        name: 'hostmesh_filter_workers',
        kind: 'gauge',
        help: 'Workers in which a filter of a user is on, off, loading, or failed to load',
        labelNames: ['filter', 'state'],
        samples: userFilters.stateSamples(),
      },
      single('hostmesh_downstream_connections', 'gauge', 'Connections of callers', acceptor.connections),
      single('hostmesh_active_connections', 'gauge', 'Those that carried something before the last look', live.active),
      single('hostmesh_requests_in_flight', 'gauge', 'Requests and streams of callers in flight', open),
      single('hostmesh_oldest_request_seconds', 'highest', 'Age of the oldest of them', oldestMs / 1000),
      single('hostmesh_bulk_held_bytes', 'gauge', 'Bulk that slow receivers have not taken yet', bulk.heldBytes),
      single('hostmesh_parked_requests', 'gauge', 'Requests that wait for a service to be looked up', parked.size),
      single('hostmesh_relay_connections', 'gauge', 'Connections of hosts without an agent', relays.connections),
      single('hostmesh_relay_shed_total', 'counter', 'Relayed connections shed at a bound', relays.shed),
      single('hostmesh_mirrors_in_flight', 'gauge', 'Mirrored requests in flight', mirrors.inFlight),
      single('hostmesh_mirrors_sent_total', 'counter', 'Mirrored requests sent', mirrors.sent),
      {
        name: 'hostmesh_mirrors_skipped_total',
        kind: 'counter',
        help: 'Mirrored requests that were not sent, or not to their end',
        labelNames: ['reason'],
        samples: [...mirrors.skipped].map(([reason, value]) => ({ labels: [reason], value })),
      },
      single('hostmesh_mirrors_failed_total', 'counter', 'Mirrored requests without an answer', mirrors.failed),
      single('hostmesh_websocket_ended_total', 'counter', 'WebSocket tunnels ended', tcpMetrics.webSockets),
      single(
        'hostmesh_websocket_received_bytes_total',
        'counter',
        'Bytes from callers of ended tunnels',
        tcpMetrics.webSocketBytesUp,
      ),
      single(
        'hostmesh_websocket_sent_bytes_total',
        'counter',
        'Bytes to callers of ended tunnels',
        tcpMetrics.webSocketBytesDown,
      ),
      single(
        'hostmesh_metric_overflows_total',
        'counter',
        'Label combinations counted as other',
        metrics.table.overflows,
      ),
      single('hostmesh_event_loop_lag_max_milliseconds', 'highest', 'Highest lag of the last 30 to 60 s', lag.maxMs),
      {
        name: 'hostmesh_worker_transport',
        kind: 'gauge',
        help: 'Workers whose sockets are served this way, from the fastest: epoll, raw, public',
        labelNames: ['transport'],
        samples: [{ labels: [transport], value: 1 }],
      },
      single('hostmesh_worker_memory_bytes', 'gauge', 'Resident memory of the worker', process.memoryUsage.rss()),
    ],
  }
}
