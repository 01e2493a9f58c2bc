/**
 * What the panels of Istio's public dashboards (mesh, service, workload; manifests/addons/dashboards of 1.2x) ask of
 * Prometheus: metric, conditions, grouping. In words of our own; what a panel is about is its name.
 */

type Conditions = Readonly<Record<string, string>>

const success = { response_code: '!~"5.*"' }
const mutual = { connection_security_policy: '="mutual_tls"' }
const notMutual = { connection_security_policy: '!="mutual_tls"' }
const clientWorkload = ['source_workload', 'source_workload_namespace']
const serverWorkload = ['destination_workload', 'destination_workload_namespace']
const window = '[1m]'

const selector = (metric: string, conditions: Conditions): string =>
  `${metric}{${Object.entries(conditions)
    .map(([label, is]) => `${label}${is}`)
    .join(', ')}}`
const rate = (metric: string, conditions: Conditions, by: readonly string[] = []): string =>
  `sum by (${by.join(', ')}) (rate(${selector(metric, conditions)}${window}))`
const share = (metric: string, over: Conditions, of: Conditions, by: readonly string[] = []): string =>
  `${rate(metric, { ...of, ...over }, by)} / ${rate(metric, of, by)}`
const quantile = (which: number, metric: string, conditions: Conditions, by: readonly string[] = []): string =>
  `histogram_quantile(${which}, ${rate(`${metric}_bucket`, conditions, ['le', ...by])})`

const requests = 'istio_requests_total'
const duration = 'istio_request_duration_milliseconds'

export interface IstioPanel {
  readonly name: string
  readonly expr: string
}

/** Of the panels of one service and of the workload behind it. `service`: value of `destination_service`. */
export function servicePanels(service: string, workload: string, namespace: string): IstioPanel[] {
  const ofService = { destination_service: `=~"${service}"` }
  const ofWorkload = { destination_workload: `=~"${workload}"`, destination_workload_namespace: `=~"${namespace}"` }
  const panels: IstioPanel[] = []
  const add = (name: string, expr: string): void => void panels.push({ name, expr })
  for (const reporter of ['source', 'destination']) {
    const at = { reporter: `=~"${reporter}"`, ...ofService }
    add(`${reporter}: request volume`, rate(requests, at))
    add(`${reporter}: success rate`, share(requests, success, at))
    for (const which of [0.5, 0.9, 0.99]) add(`${reporter}: duration ${which}`, quantile(which, duration, at))
  }
  for (const [words, of] of [
    ['mutual TLS', mutual],
    ['no mutual TLS', notMutual],
  ] as const) {
    const from = { reporter: '=~"destination"', ...ofService, ...of, source_workload: '=~".*"' }
    add(`by client, ${words}: requests by code`, rate(requests, from, [...clientWorkload, 'response_code']))
    add(`by client, ${words}: success rate`, share(requests, success, from, clientWorkload))
    add(`by client, ${words}: duration`, quantile(0.95, duration, from, clientWorkload))
    for (const metric of ['istio_request_bytes', 'istio_response_bytes'])
      add(`by client, ${words}: ${metric}`, quantile(0.5, metric, from, clientWorkload))
    const to = { reporter: '=~"destination"', ...ofWorkload, ...of }
    add(`by server, ${words}: requests by code`, rate(requests, to, [...serverWorkload, 'response_code']))
    add(`by server, ${words}: success rate`, share(requests, success, to, serverWorkload))
  }
  return panels
}

/** Of the panels of a workload's calls to others. */
export function outboundPanels(service: string): IstioPanel[] {
  const from = { reporter: '="source"', destination_service: `=~"${service}"` }
  return [
    { name: 'outbound: requests by code', expr: rate(requests, from, ['destination_service', 'response_code']) },
    { name: 'outbound: success rate', expr: share(requests, success, from, ['destination_service']) },
    { name: 'outbound: duration', expr: quantile(0.9, duration, from, ['destination_service']) },
  ]
}

/** Of the panels of a TCP service. */
export function tcpPanels(service: string): IstioPanel[] {
  return ['istio_tcp_received_bytes_total', 'istio_tcp_sent_bytes_total'].flatMap((metric) =>
    ['source', 'destination'].map((reporter) => ({
      name: `${reporter}: ${metric}`,
      expr: rate(metric, { reporter: `=~"${reporter}"`, destination_service: `=~"${service}"` }, clientWorkload),
    })),
  )
}

/** Of the overview of a mesh, and of the lists that the dashboards let one choose from. */
export const meshPanels: readonly IstioPanel[] = [
  { name: 'mesh: requests', expr: `round(${rate(requests, { reporter: '=~"source|waypoint"' })}, 0.01)` },
  { name: 'mesh: success rate', expr: share(requests, success, { reporter: '=~"source|waypoint"' }) },
  {
    name: 'mesh: requests by workload',
    expr: `label_join(${rate(requests, { reporter: '=~"source|waypoint"' }, [...serverWorkload, 'destination_service'])}, "destination_workload_var", ".", "destination_workload", "destination_workload_namespace")`,
  },
  {
    name: 'mesh: durations by workload',
    expr: quantile(0.9, `${duration}`, { reporter: '=~"source|waypoint"' }, serverWorkload),
  },
  {
    name: 'mesh: TCP bytes by workload',
    expr: rate('istio_tcp_received_bytes_total', { reporter: '=~"source|waypoint"' }, serverWorkload),
  },
  { name: 'choice: services', expr: 'count by (destination_service) (istio_requests_total)' },
  { name: 'choice: namespaces', expr: 'count by (destination_workload_namespace) (istio_requests_total)' },
  {
    name: 'choice: client workloads',
    expr: 'count by (source_workload) (istio_requests_total{reporter=~"destination"})',
  },
  { name: 'choice: clusters', expr: 'count by (source_cluster, destination_cluster) (istio_requests_total)' },
]
