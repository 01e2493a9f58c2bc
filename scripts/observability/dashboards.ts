/**
 * The dashboards that we ship, as rows of panels. A panel is a title, a unit of Grafana and queries with their legends.
 */

export interface Panel {
  readonly title: string
  /** Of Grafana: short, reqps, percentunit, ms, bytes, Bps, s, none. */
  readonly unit: string
  readonly kind?: 'timeseries' | 'stat'
  readonly queries: readonly (readonly [expr: string, legend: string])[]
}

export interface Dashboard {
  readonly uid: string
  readonly title: string
  readonly panels: readonly Panel[]
}

const host = 'instance=~"$instance"'
const byService = 'destination_service_name'
const rate = (metric: string, labels = host): string => `rate(${metric}{${labels}}[5m])`
const sumBy = (labels: string, expr: string): string => `sum by (${labels}) (${expr})`
const quantile = (share: number, by: string, labels: string): string =>
  `histogram_quantile(${share}, ${sumBy(`${by}, le`, rate('istio_request_duration_milliseconds_bucket', labels))})`
const service = `${host}, destination_service_name=~"$service"`

export const dashboards: readonly Dashboard[] = [
  {
    uid: 'hostmesh-host',
    title: 'Hostmesh: host',
    panels: [
      { title: 'Ready', unit: 'none', kind: 'stat', queries: [[`hostmesh_ready{${host}}`, '{{instance}}']] },
      {
        title: 'Workers',
        unit: 'none',
        kind: 'stat',
        queries: [[`hostmesh_workers_connected{${host}}`, '{{instance}}']],
      },
      {
        title: 'Requests by service',
        unit: 'reqps',
        queries: [
          [sumBy(`reporter, ${byService}`, rate('istio_requests_total')), '{{reporter}} {{destination_service_name}}'],
        ],
      },
      {
        title: 'Failed share',
        unit: 'percentunit',
        queries: [
          [
            `${sumBy('instance', rate('istio_requests_total', `${host}, response_code=~"5..|0"`))} / ${sumBy('instance', rate('istio_requests_total'))}`,
            '{{instance}}',
          ],
        ],
      },
      {
        title: 'Connections of callers',
        unit: 'short',
        queries: [
          [`hostmesh_downstream_connections{${host}}`, '{{instance}}'],
          [`hostmesh_active_connections{${host}}`, 'active {{instance}}'],
        ],
      },
      {
        title: 'Memory of workers',
        unit: 'bytes',
        queries: [[`hostmesh_worker_memory_bytes{${host}}`, '{{instance}}']],
      },
      {
        title: 'Highest lag of a worker',
        unit: 'ms',
        queries: [[`hostmesh_event_loop_lag_max_milliseconds{${host}}`, '{{instance}}']],
      },
      {
        title: 'Shed and refused',
        unit: 'short',
        queries: [
          [rate('hostmesh_connections_shed_total'), 'shed {{instance}}'],
          [rate('hostmesh_memory_sheds_total'), 'memory {{instance}}'],
          [rate('hostmesh_park_overflows_total'), 'parked {{instance}}'],
        ],
      },
      {
        title: 'Spans and log records',
        unit: 'short',
        queries: [
          [rate('hostmesh_telemetry_sent_total'), 'sent {{signal}}'],
          [rate('hostmesh_telemetry_dropped_total'), 'dropped {{signal}} {{reason}}'],
        ],
      },
    ],
  },
  {
    uid: 'hostmesh-service',
    title: 'Hostmesh: service',
    panels: [
      {
        title: 'Requests by status',
        unit: 'reqps',
        queries: [
          [sumBy('reporter, response_code', rate('istio_requests_total', service)), '{{reporter}} {{response_code}}'],
        ],
      },
      {
        title: 'Failures by flag',
        unit: 'reqps',
        queries: [
          [
            sumBy('response_flags', rate('istio_requests_total', `${service}, response_flags!="-"`)),
            '{{response_flags}}',
          ],
        ],
      },
      {
        title: 'Duration',
        unit: 'ms',
        queries: [
          [quantile(0.5, 'reporter', service), 'p50 {{reporter}}'],
          [quantile(0.99, 'reporter', service), 'p99 {{reporter}}'],
        ],
      },
      {
        title: 'Versions',
        unit: 'reqps',
        queries: [[sumBy('destination_version', rate('istio_requests_total', service)), '{{destination_version}}']],
      },
      {
        title: 'Bytes',
        unit: 'Bps',
        queries: [
          [sumBy('reporter', rate('istio_request_bytes_sum', service)), 'received {{reporter}}'],
          [sumBy('reporter', rate('istio_response_bytes_sum', service)), 'sent {{reporter}}'],
        ],
      },
      {
        title: 'Retries',
        unit: 'short',
        queries: [
          [rate('hostmesh_retries_total'), 'retries {{instance}}'],
          [rate('hostmesh_retries_refused_total'), 'refused {{instance}}'],
        ],
      },
      {
        title: 'Usable endpoints',
        unit: 'short',
        queries: [[`hostmesh_cluster_usable_endpoints{${host}}`, '{{cluster}} {{instance}}']],
      },
      {
        title: 'Breakers (2 = open) and ejections',
        unit: 'short',
        queries: [
          [`hostmesh_cluster_breaker_state{${host}}`, 'breaker {{cluster}}'],
          [rate('hostmesh_cluster_ejections_total'), 'ejections {{cluster}}'],
        ],
      },
    ],
  },
  {
    uid: 'hostmesh-tiers',
    title: 'Hostmesh: tiers',
    panels: [
      { title: 'Hosts by tier', unit: 'none', queries: [[`sum by (tier) (hostmesh_tier{${host}})`, '{{tier}}']] },
      {
        title: 'Hosts past their agent',
        unit: 'none',
        kind: 'stat',
        queries: [[`count(hostmesh_tier{tier="agent", ${host}} == 0) or vector(0)`, 'hosts']],
      },
      {
        title: 'Usable centers',
        unit: 'none',
        queries: [[`sum by (center) (hostmesh_center_usable{${host}})`, '{{center}}']],
      },
      {
        title: 'Fallbacks by request',
        unit: 'short',
        queries: [[rate('hostmesh_fallback_requests_total'), '{{instance}}']],
      },
    ],
  },
  {
    uid: 'hostmesh-restarts',
    title: 'Hostmesh: restarts and releases',
    panels: [
      {
        title: 'Versions',
        unit: 'none',
        queries: [[`count by (version, role) (hostmesh_build_info{${host}})`, '{{role}} {{version}}']],
      },
      {
        title: 'Starts of control in an hour',
        unit: 'none',
        queries: [[`resets(hostmesh_uptime_seconds{${host}}[1h])`, '{{instance}}']],
      },
      { title: 'Time since the start', unit: 's', queries: [[`hostmesh_uptime_seconds{${host}}`, '{{instance}}']] },
      {
        title: 'Connections moved between workers',
        unit: 'short',
        queries: [
          [rate('hostmesh_connections_given_total'), 'given {{instance}}'],
          [rate('hostmesh_connections_taken_total'), 'taken {{instance}}'],
        ],
      },
      {
        title: 'Snapshot',
        unit: 'none',
        queries: [
          [`hostmesh_snapshot_version{${host}}`, 'control {{instance}}'],
          [`hostmesh_worker_version{${host}}`, 'worker {{worker}} {{instance}}'],
        ],
      },
    ],
  },
  {
    uid: 'hostmesh-registry',
    title: 'Hostmesh: registries',
    panels: [
      {
        title: 'Reached',
        unit: 'none',
        kind: 'stat',
        queries: [[`min by (registry) (hostmesh_registry_up{${host}})`, '{{registry}}']],
      },
      {
        title: 'Silent',
        unit: 'none',
        queries: [[`sum by (registry) (hostmesh_registry_stale{${host}})`, '{{registry}}']],
      },
      {
        title: 'Seconds since the last word',
        unit: 's',
        queries: [[`max by (registry) (hostmesh_registry_heard_seconds{${host}})`, '{{registry}}']],
      },
      {
        title: 'Subscriptions and registrations',
        unit: 'short',
        queries: [
          [`sum by (registry) (hostmesh_registry_subscriptions{${host}})`, 'subscriptions {{registry}}'],
          [`sum by (registry) (hostmesh_registry_registrations{${host}})`, 'registrations {{registry}}'],
        ],
      },
      {
        title: 'Services held back',
        unit: 'none',
        queries: [[`hostmesh_services_held_back{${host}}`, '{{instance}}']],
      },
      {
        title: 'Services and endpoints known',
        unit: 'short',
        queries: [
          [`hostmesh_snapshot_services{${host}}`, 'services {{instance}}'],
          [`hostmesh_snapshot_endpoints{${host}}`, 'endpoints {{instance}}'],
        ],
      },
      {
        title: 'Endpoints refused',
        unit: 'short',
        queries: [
          [
            `sum by (registry, reason) (${rate('hostmesh_registry_endpoints_refused_total')})`,
            '{{registry}} {{reason}}',
          ],
        ],
      },
    ],
  },
  {
    uid: 'hostmesh-center',
    title: 'Hostmesh: center',
    panels: [
      {
        title: 'Connections of hosts without an agent',
        unit: 'short',
        queries: [[`hostmesh_relay_connections{${host}}`, '{{instance}}']],
      },
      { title: 'Shed at a bound', unit: 'short', queries: [[rate('hostmesh_relay_shed_total'), '{{instance}}']] },
      {
        title: 'Refused',
        unit: 'short',
        queries: [
          [rate('hostmesh_relay_strangers_total'), 'strangers {{instance}}'],
          [rate('hostmesh_relay_proof_refusals_total'), 'no proof {{instance}}'],
          [rate('hostmesh_relay_refused_hosts_total'), 'another host {{instance}}'],
          [rate('hostmesh_proxy_protocol_errors_total'), 'no PROXY header {{instance}}'],
        ],
      },
      {
        title: 'Requests relayed',
        unit: 'reqps',
        queries: [
          [sumBy(`instance, ${byService}`, rate('istio_requests_total')), '{{instance}} {{destination_service_name}}'],
        ],
      },
    ],
  },
]
