/**
 * The alerts that we ship: one description, of which rules, their tests and the pages for the person who is woken are
 * made.
 */

export interface Alert {
  readonly name: string
  readonly expr: string
  readonly for: string
  readonly severity: 'page' | 'ticket'
  /** With labels in Prometheus' form. */
  readonly summary: string
  readonly meaning: string
  /** Commands first, in their order. */
  readonly look: readonly string[]
  readonly act: readonly string[]
  /** A series that fires it, in promtool's form, and one that does not. */
  readonly fires: readonly (readonly [series: string, values: string])[]
  readonly quiet: readonly (readonly [series: string, values: string])[]
}

const job = 'instance="h1:15020", job="hostmesh"'
const one = (metric: string, firing: number, good: number, labels = ''): Pick<Alert, 'fires' | 'quiet'> => {
  const series = `${metric}{${labels === '' ? '' : `${labels}, `}${job}}`
  return { fires: [[series, `${firing}x60`]], quiet: [[series, `${good}x60`]] }
}

/** What is asked for once and shown often. */
export interface Recording {
  readonly record: string
  readonly expr: string
  /** Series in promtool's form, and what is recorded of them after 20 minutes. */
  readonly given: readonly (readonly [series: string, values: string])[]
  readonly recorded: readonly (readonly [labels: string, value: number])[]
}

const ofCalls = (reporter: string, service: string): string =>
  `reporter="${reporter}", destination_service_name="${service}", ${job}`
const kept = (reporter: string, service: string): string =>
  `{instance="h1:15020", reporter="${reporter}", destination_service_name="${service}"}`
const requests = (reporter: string, service: string, status: string, flags = '-'): string =>
  `istio_requests_total{response_code="${status}", response_flags="${flags}", ${ofCalls(reporter, service)}}`
const durations = (service: string, bound: string): string =>
  `istio_request_duration_milliseconds_bucket{le="${bound}", ${ofCalls('source', service)}}`

export const recordings: readonly Recording[] = [
  {
    record: 'hostmesh:requests:rate5m',
    expr: 'sum by (instance, reporter, destination_service_name) (rate(istio_requests_total[5m]))',
    given: [
      [requests('source', 'orders', '200'), '0+600x60'],
      [requests('source', 'orders', '503', 'UF'), '0+60x60'],
      [requests('destination', 'orders', '200'), '0+120x60'],
      [requests('source', 'stock', '404'), '0+60x60'],
    ],
    recorded: [
      [kept('source', 'orders'), 11],
      [kept('destination', 'orders'), 2],
      [kept('source', 'stock'), 1],
    ],
  },
  {
    record: 'hostmesh:failed_requests:rate5m',
    expr: 'sum by (instance, reporter, destination_service_name) (rate(istio_requests_total{response_code=~"5..|0"}[5m]))',
    given: [
      [requests('source', 'orders', '200'), '0+600x60'],
      [requests('source', 'orders', '404'), '0+600x60'],
      [requests('source', 'orders', '503', 'UF'), '0+60x60'],
      // its caller went away, so there was no status
      [requests('source', 'orders', '0', 'DC'), '0+120x60'],
      [requests('source', 'stock', '500'), '0+60x60'],
    ],
    recorded: [
      [kept('source', 'orders'), 3],
      [kept('source', 'stock'), 1],
    ],
  },
  {
    record: 'hostmesh:request_duration_milliseconds:p99_5m',
    expr: 'histogram_quantile(0.99, sum by (instance, reporter, destination_service_name, le) (rate(istio_request_duration_milliseconds_bucket[5m])))',
    given: [
      [durations('orders', '100'), '0+60x60'],
      [durations('orders', '+Inf'), '0+60x60'],
      // one of fifty takes longer than the last bound
      [durations('stock', '500'), '0+2940x60'],
      [durations('stock', '+Inf'), '0+3000x60'],
    ],
    recorded: [
      [kept('source', 'orders'), 99],
      [kept('source', 'stock'), 500],
    ],
  },
]

export const alerts: readonly Alert[] = [
  {
    name: 'HostmeshDown',
    expr: 'up{job="hostmesh"} == 0',
    for: '2m',
    severity: 'page',
    summary: 'Nobody answers at the metrics port of {{ $labels.instance }}',
    meaning: 'Control of this host is dead or cut off. Workers serve on without it; nothing new is learnt.',
    look: ['hostmesh generations', 'journalctl -u hostmesh -n 100', 'systemctl status hostmesh'],
    act: [
      'A watchdog that lives starts control again by itself; the log says why it fails.',
      'No watchdog: `systemctl start hostmesh`. Workers that live are adopted.',
    ],
    ...one('up', 0, 1),
  },
  {
    name: 'HostmeshNotReady',
    expr: 'hostmesh_ready == 0',
    for: '2m',
    severity: 'page',
    summary: '{{ $labels.instance }} is not ready',
    meaning: '`/ready` says no: something that this host needs is missing, or an operator drained it.',
    look: ['hostmesh status'],
    act: [
      'What is pending stands there by name: a registry that never answered, a listener, a drain (`POST /undrain_listeners` takes it back).',
    ],
    ...one('hostmesh_ready', 0, 1),
  },
  {
    name: 'HostmeshTierNotAgent',
    expr: 'hostmesh_tier{tier="agent"} == 0',
    for: '1m',
    severity: 'page',
    summary: 'Traffic of {{ $labels.instance }} goes past its agent',
    meaning: 'No generation is healthy: new connections go to a center or directly to the last known endpoints.',
    look: ['hostmesh generations', 'hostmesh status'],
    act: [
      'The evidence of the last failed start stands in `hostmesh generations`.',
      'After a bad upgrade: `hostmesh rollback`.',
    ],
    ...one('hostmesh_tier', 0, 1, 'tier="agent"'),
  },
  {
    name: 'HostmeshRestartsOften',
    expr: 'resets(hostmesh_uptime_seconds[15m]) > 2',
    for: '0m',
    severity: 'ticket',
    summary: 'Control of {{ $labels.instance }} started again and again',
    meaning:
      'Control died, or generations were replaced, more than twice in a quarter of an hour. Traffic is not lost, but something is wrong.',
    look: ['hostmesh generations', 'journalctl -u hostmesh -p warning -n 100'],
    act: ['Reports with `outcome: failed` name a cause; memory above `watchdog.maxMemory` is one of them.'],
    fires: [[`hostmesh_uptime_seconds{${job}}`, '60 120 10 60 10 60 10 60 120 180 240 300']],
    quiet: [[`hostmesh_uptime_seconds{${job}}`, '60+60x60']],
  },
  {
    name: 'HostmeshRegistryStale',
    expr: 'hostmesh_registry_stale == 1',
    for: '1m',
    severity: 'page',
    summary: 'Registry {{ $labels.registry }} is silent on {{ $labels.instance }}',
    meaning: 'Its data is older than `endpoints.staleAfter`. Traffic goes on with the last good endpoints.',
    look: ['hostmesh status', 'hostmesh check --online'],
    act: [
      'Is the registry down for everybody? Then leave the agents alone: nothing is removed meanwhile.',
      'Only here: network, name, credentials of this host.',
    ],
    ...one('hostmesh_registry_stale', 1, 0, 'registry="main"'),
  },
  {
    name: 'HostmeshRegistryRefuses',
    expr: 'sum by (instance, registry) (hostmesh_registry_refused) > 0',
    for: '1m',
    severity: 'page',
    summary: 'Registry {{ $labels.registry }} refuses calls of {{ $labels.instance }}',
    meaning: 'It answers and says no: a wrong or expired password, or a permission that is missing.',
    look: ['hostmesh check --online', 'hostmesh status'],
    act: ['Correct the credential file: it is read again when it changes.'],
    ...one('hostmesh_registry_refused', 2, 0, 'registry="main", call="subscribe"'),
  },
  {
    name: 'HostmeshServicesHeldBack',
    expr: 'hostmesh_services_held_back > 0',
    for: '10m',
    severity: 'ticket',
    summary: 'A registry takes many instances away at once on {{ $labels.instance }}',
    meaning:
      'An answer that shrinks a service below its protected share waits for confirmation. The old instances are the last choice meanwhile.',
    look: ['hostmesh status'],
    act: ['A planned scale-down is confirmed by itself. Otherwise look at the registry before anything else.'],
    ...one('hostmesh_services_held_back', 1, 0),
  },
  {
    name: 'HostmeshConfigProblems',
    expr: 'hostmesh_config_problems > 0',
    for: '5m',
    severity: 'ticket',
    summary: 'The configuration of {{ $labels.instance }} on disk is bad',
    meaning: 'What runs is the last good version. A cold start with these files would fail.',
    look: ['hostmesh check'],
    act: ['Correct what it prints; changes are taken up at once.'],
    ...one('hostmesh_config_problems', 1, 0),
  },
  {
    name: 'HostmeshRuleRejected',
    expr: 'hostmesh_rules{state="rejected"} > 0',
    for: '5m',
    severity: 'ticket',
    summary: '{{ $value }} rules are not in force on {{ $labels.instance }}',
    meaning: 'A rule was refused; its last good version stays, where there is one.',
    look: ['hostmesh rules list'],
    act: ['The reason stands beside it, with file and line.'],
    ...one('hostmesh_rules', 1, 0, 'state="rejected"'),
  },
  {
    name: 'HostmeshListenerFailed',
    expr: 'hostmesh_listeners_failed > 0',
    for: '1m',
    severity: 'page',
    summary: 'A port of {{ $labels.instance }} could not be bound',
    meaning: 'One service has no localhost port, or one application no inbound port; the others work.',
    look: ['hostmesh ports'],
    act: ['It names the process that has the port: end it, or move one of the two.'],
    ...one('hostmesh_listeners_failed', 1, 0),
  },
  {
    name: 'HostmeshApplicationUnhealthy',
    expr: 'hostmesh_application_healthy == 0',
    for: '5m',
    severity: 'ticket',
    summary: '{{ $labels.application }} on {{ $labels.instance }} fails its check',
    meaning: 'Its agent tells the registry that it is unhealthy; others do not call it.',
    look: ['hostmesh registrations'],
    act: ['Look at the application: the agent only passes on what its check found.'],
    ...one('hostmesh_application_healthy', 0, 1, 'application="orders"'),
  },
  {
    name: 'HostmeshStateWriteFailing',
    expr: 'hostmesh_state_write_failing == 1',
    for: '5m',
    severity: 'page',
    summary: '{{ $labels.instance }} cannot write {{ $labels.file }}',
    meaning: 'The disk is full or read-only. Traffic is not touched; a cold start would know only old things.',
    look: ['df -h /var/lib/hostmesh', 'journalctl -u hostmesh -p warning -n 20'],
    act: ['Make room. Files are written again by themselves.'],
    ...one('hostmesh_state_write_failing', 1, 0, 'file="snapshot.json"'),
  },
  {
    name: 'HostmeshCenterUnusable',
    expr: 'hostmesh_center_usable == 0',
    for: '5m',
    severity: 'ticket',
    summary: 'Center {{ $labels.center }} is not usable from {{ $labels.instance }}',
    meaning:
      'The second tier is thinner than it looks: if the agent of this host died now, this center would be passed over.',
    look: ['hostmesh generations'],
    act: [
      'Look at the center itself: `hostmesh status -c /etc/hostmesh/center.yaml` there; networks and secrets of the relay.',
    ],
    ...one('hostmesh_center_usable', 0, 1, 'center="10.0.0.8:15443"'),
  },
  {
    name: 'HostmeshRequestsFail',
    expr: 'hostmesh:failed_requests:rate5m / (hostmesh:requests:rate5m > 0.1) > 0.05',
    for: '5m',
    severity: 'page',
    summary:
      '{{ $value | humanizePercentage }} of requests to {{ $labels.destination_service_name }} fail on {{ $labels.instance }}',
    meaning: 'More than one in twenty requests ended with a 5xx for five minutes.',
    look: ['hostmesh top', 'hostmesh tap --failed --count 20'],
    act: ["An error code of ours (`docs/errors.md`) names the cause; without one it was the application's own answer."],
    fires: [
      [
        `istio_requests_total{reporter="source", destination_service_name="orders", response_code="200", response_flags="-", ${job}}`,
        '0+600x60',
      ],
      [
        `istio_requests_total{reporter="source", destination_service_name="orders", response_code="503", response_flags="UF", ${job}}`,
        '0+60x60',
      ],
    ],
    quiet: [
      [
        `istio_requests_total{reporter="source", destination_service_name="orders", response_code="200", response_flags="-", ${job}}`,
        '0+600x60',
      ],
      [
        `istio_requests_total{reporter="source", destination_service_name="orders", response_code="503", response_flags="UF", ${job}}`,
        '0+6x60',
      ],
    ],
  },
  {
    name: 'HostmeshRequestsSlow',
    expr: 'hostmesh:request_duration_milliseconds:p99_5m > 1000',
    for: '10m',
    severity: 'ticket',
    summary: 'p99 of {{ $labels.destination_service_name }} on {{ $labels.instance }} is {{ $value }} ms',
    meaning:
      'One request in a hundred takes longer than a second. Set your own bound where a service is slow by nature.',
    look: ['hostmesh top', 'hostmesh tap --min 1s --count 20'],
    act: [
      "`duration` against the application's own figure says whether the time is spent before it: waiting for a connection, tries, a full worker.",
    ],
    fires: [
      [
        `istio_request_duration_milliseconds_bucket{reporter="source", destination_service_name="orders", le="1000", ${job}}`,
        '0+50x60',
      ],
      [
        `istio_request_duration_milliseconds_bucket{reporter="source", destination_service_name="orders", le="2500", ${job}}`,
        '0+100x60',
      ],
      [
        `istio_request_duration_milliseconds_bucket{reporter="source", destination_service_name="orders", le="+Inf", ${job}}`,
        '0+100x60',
      ],
    ],
    quiet: [
      [
        `istio_request_duration_milliseconds_bucket{reporter="source", destination_service_name="orders", le="100", ${job}}`,
        '0+100x60',
      ],
      [
        `istio_request_duration_milliseconds_bucket{reporter="source", destination_service_name="orders", le="+Inf", ${job}}`,
        '0+100x60',
      ],
    ],
  },
  {
    name: 'HostmeshBreakerOpen',
    expr: 'hostmesh_cluster_breaker_state == 2',
    for: '2m',
    severity: 'ticket',
    summary: 'The breaker of {{ $labels.cluster }} is open on {{ $labels.instance }}',
    meaning: 'So many requests failed that the agent refuses them for a while instead of sending them.',
    look: ['hostmesh tap --failed --count 20'],
    act: ['It closes by itself when the destination answers again. Look at the destination.'],
    ...one('hostmesh_cluster_breaker_state', 2, 0, 'cluster="orders"'),
  },
  {
    name: 'HostmeshWorkerLate',
    expr: 'hostmesh_event_loop_lag_max_milliseconds > 250',
    for: '5m',
    severity: 'ticket',
    summary: 'A worker of {{ $labels.instance }} was {{ $value }} ms late',
    meaning: 'The processor is too busy, or the machine gives its time to others.',
    look: ['hostmesh top', 'uptime'],
    act: ['More workers do not help a machine without idle processors: look at what else runs there.'],
    ...one('hostmesh_event_loop_lag_max_milliseconds', 400, 3),
  },
  {
    name: 'HostmeshCollectorDown',
    expr: 'hostmesh_telemetry_collector_up == 0',
    for: '10m',
    severity: 'ticket',
    summary: 'The collector of {{ $labels.signal }} does not take what {{ $labels.instance }} sends',
    meaning: 'Spans or log records wait in bounded memory and are then dropped. Traffic is not touched.',
    look: ['hostmesh status', 'journalctl -u hostmesh -p warning -n 20'],
    act: [
      'Start the collector, or correct `tracing.collector` or `accessLog.collector`; both are taken up at once.',
      'Files of theirs that cannot be used are named there, too: correct them, then `hostmesh reload`.',
    ],
    ...one('hostmesh_telemetry_collector_up', 0, 1, 'signal="traces"'),
  },
  {
    name: 'HostmeshRecordsRefused',
    expr: 'sum by (instance, signal) (rate(hostmesh_telemetry_dropped_total{reason="refused"}[5m])) > 0',
    for: '10m',
    severity: 'ticket',
    summary: 'The collector of {{ $labels.signal }} answers {{ $labels.instance }} and refuses what it sends',
    meaning: 'It is there, but does not take these records: they are lost. Traffic is not touched.',
    look: ['hostmesh status', 'journalctl -u hostmesh -p warning -n 20'],
    act: [
      'Its answer stands there: a token in `headersFile` that is wrong or too old (401, 403), a path or protocol that it does not speak (404, 415), or records that it has no room for.',
    ],
    fires: [[`hostmesh_telemetry_dropped_total{signal="logs", reason="refused", ${job}}`, '0+600x60']],
    quiet: [
      [`hostmesh_telemetry_dropped_total{signal="logs", reason="refused", ${job}}`, '600x60'],
      [`hostmesh_telemetry_dropped_total{signal="logs", reason="queue-full", ${job}}`, '0+600x60'],
    ],
  },
  {
    name: 'HostmeshCertificateLate',
    expr: 'hostmesh_certificate_late == 1',
    for: '1m',
    severity: 'page',
    summary:
      'The certificate of {{ $labels.identity }} on {{ $labels.instance }} was not renewed in time, or never came',
    meaning:
      'Less than a quarter of its life is left. At its end peers refuse it: mutual TLS of this application stops.',
    look: [
      'hostmesh certs',
      'journalctl -u hostmesh -p warning -n 50',
      'hostmesh ca show -c /etc/hostmesh/center.yaml',
    ],
    act: [
      '`hostmesh certs` says why: a center that does not answer, a name that nobody granted, a host that is denied or must join again.',
      'Not granted: a new token with `--identity`, or `ca.grants` of the center. The next try comes by itself, within five minutes.',
    ],
    ...one('hostmesh_certificate_late', 1, 0, 'identity="spiffe://mesh/ns/default/sa/orders"'),
  },
  {
    name: 'HostmeshAuthorityEnds',
    expr: 'hostmesh_ca_issuer_left_seconds < 2592000',
    for: '10m',
    severity: 'ticket',
    summary: 'The certificate that the authority of {{ $labels.instance }} signs with ends within a month',
    meaning:
      'Nothing that it signs lives longer. One that the center made is renewed at half its life, if its root lives on.',
    look: ['hostmesh ca show -c /etc/hostmesh/center.yaml'],
    act: [
      'Of the center: the root itself is about to end; `hostmesh ca rotate` makes a new one.',
      "An operator's own: put a new certificate and key into the files of `ca.intermediate`; they are taken up by themselves.",
    ],
    ...one('hostmesh_ca_issuer_left_seconds', 86400, 31536000),
  },
]

/** `HostmeshRequestsFail` to `requests-fail`. */
export function runbookOf({ name }: Alert): string {
  return name
    .replace(/^Hostmesh/, '')
    .replace(/(?<=.)([A-Z])/g, '-$1')
    .toLowerCase()
}
