/**
 * Every query of the panels and lists of Istio's public dashboards (mesh, service, workload, and of performance what is
 * about the data path; manifests/addons/dashboards of 1.2x), in words of our own: metric, conditions, grouping,
 * function, range. What a panel is about is its name.
 */

type Conditions = Readonly<Record<string, string>>

export interface IstioPanel {
  readonly name: string
  readonly expr: string
}

/** What a user has chosen in the lists above the panels. */
export interface Chosen {
  /** Values of `destination_service`. */
  readonly service: string
  readonly tcpService: string
  readonly reporter: 'source' | 'destination'
  readonly workload: string
  readonly namespace: string
}

const requests = 'istio_requests_total'
const bytes = { received: 'istio_tcp_received_bytes_total', sent: 'istio_tcp_sent_bytes_total' }
const workloadOf = {
  client: ['source_workload', 'source_workload_namespace'],
  server: ['destination_workload', 'destination_workload_namespace'],
} as const
const any = '=~".*"'
/** With a lock in the legend, and without. */
const ways: readonly (readonly [name: string, conditions: Conditions])[] = [
  ['mutual TLS', { connection_security_policy: '="mutual_tls"' }],
  ['no mutual TLS', { connection_security_policy: '!="mutual_tls"' }],
]
const shares = ['0.50', '0.90', '0.95', '0.99'] as const

const selector = (metric: string, conditions: Conditions): string =>
  `${metric}{${Object.entries(conditions)
    .map(([label, is]) => `${label}${is}`)
    .join(', ')}}`
const sum = (metric: string, conditions: Conditions, range: string, by: readonly string[] = []): string =>
  `sum(irate(${selector(metric, conditions)}[${range}]))${by.length === 0 ? '' : ` by (${by.join(', ')})`}`
const successShare = (conditions: Conditions, by: readonly string[] = [], otherwise = ''): string => {
  const all = sum(requests, conditions, '5m', by)
  const good = sum(requests, { ...conditions, response_code: '!~"5.*"' }, '5m', by)
  return `${good} / ${otherwise === '' ? all : `(${all} or ${otherwise})`}`
}
/** Seconds, from the milliseconds of newer releases, else from the seconds of older ones. */
const duration = (share: string, conditions: Conditions, by: readonly string[] = []): string => {
  const of = (unit: string): string =>
    `histogram_quantile(${share}, ${sum(`istio_request_duration_${unit}_bucket`, conditions, '1m', [...by, 'le'])})`
  return `(${of('milliseconds')} / 1000) or ${of('seconds')}`
}
const size = (share: string, metric: string, conditions: Conditions, by: readonly string[]): string =>
  `histogram_quantile(${share}, ${sum(`${metric}_bucket`, conditions, '1m', [...by, 'le'])})`
const rounded = (expr: string): string => `round(${expr}, 0.001)`

/** One row of panels: requests by code, success, durations, sizes and bytes of TCP, each with and without a lock. */
function rowOf(name: string, http: Conditions, tcp: Conditions, by: readonly string[]): IstioPanel[] {
  return ways.flatMap(([way, conditions]) => {
    const of = { ...http, ...conditions }
    const panel = (what: string, expr: string): IstioPanel => ({ name: `${name}, ${way}: ${what}`, expr })
    return [
      panel('requests by code', rounded(sum(requests, of, '5m', [...by, 'response_code']))),
      panel('success rate', successShare(of, by)),
      ...shares.map((share) => panel(`duration ${share}`, duration(share, of, by))),
      ...['istio_request_bytes', 'istio_response_bytes'].flatMap((metric) =>
        shares.map((share) => panel(`${metric} ${share}`, size(share, metric, of, by))),
      ),
      ...Object.entries(bytes).map(([direction, metric]) =>
        panel(`TCP ${direction}`, rounded(sum(metric, { ...tcp, ...conditions }, '1m', by))),
      ),
    ]
  })
}

const named = (prefix: string, exprs: Readonly<Record<string, string>>): IstioPanel[] =>
  Object.entries(exprs).map(([name, expr]) => ({ name: `${prefix}: ${name}`, expr }))

/** Requests, success and three durations. */
const head = (name: string, conditions: Conditions, otherwise = ''): IstioPanel[] => [
  ...named(name, {
    'request volume': rounded(sum(requests, conditions, '5m')),
    'success rate': successShare(conditions, [], otherwise),
  }),
  ...(['0.50', '0.90', '0.99'] as const).map((share) => ({
    name: `${name}: duration ${share}`,
    expr: duration(share, conditions),
  })),
]

export function servicePanels({ reporter, service, tcpService }: Chosen): IstioPanel[] {
  const chosen = `=~"${reporter}"`
  const ofService = { destination_service: `=~"${service}"` }
  const ofTcp = { destination_service: `=~"${tcpService}"` }
  const client = { source_workload: any, source_workload_namespace: any }
  const server = { destination_workload: any, destination_workload_namespace: any }
  const atServer = { reporter: '="destination"' }
  return [
    ...head('service, client', { reporter: chosen, ...ofService }),
    ...head('service, server', { ...atServer, ...ofService }, 'on () vector(1)'),
    ...named('service', {
      'TCP received': sum(bytes.received, { reporter: chosen, ...ofTcp }, '1m'),
      'TCP sent': sum(bytes.sent, { reporter: chosen, ...ofTcp }, '1m'),
    }),
    ...rowOf(
      'service by client',
      { reporter: chosen, ...ofService, ...client },
      { reporter: chosen, ...ofTcp, ...client },
      workloadOf.client,
    ),
    ...rowOf(
      'service by workload',
      { ...atServer, ...ofService, ...server },
      { ...atServer, ...ofTcp, ...server },
      workloadOf.server,
    ),
  ]
}

export function workloadPanels(chosen: Chosen, calls: Chosen, tcpWorkload: string): IstioPanel[] {
  const reporter = `=~"${chosen.reporter}"`
  const as = (side: 'source' | 'destination', workload: string, namespace: string): Conditions => ({
    [`${side}_workload`]: `=~"${workload}"`,
    [`${side}_workload_namespace`]: `=~"${namespace}"`,
  })
  const both = (conditions: Conditions): string =>
    Object.values(bytes)
      .map((metric) => sum(metric, conditions, '1m'))
      .join(' + ')
  const client = { source_workload: any, source_workload_namespace: any }
  const here = as('destination', chosen.workload, chosen.namespace)
  const tcp = as('destination', tcpWorkload, chosen.namespace)
  const caller = { reporter: '="source"', ...as('source', calls.workload, calls.namespace), destination_service: any }
  return [
    ...head('workload', { reporter, ...here }),
    ...named('workload', {
      'TCP as a server': both({ reporter, ...tcp }),
      'TCP as a client': both({ reporter: '=~"source"', ...as('source', calls.workload, calls.namespace) }),
    }),
    ...rowOf(
      'workload by client',
      { reporter, ...here, ...client },
      { reporter, ...tcp, ...client },
      workloadOf.client,
    ),
    ...rowOf('workload to services', caller, caller, ['destination_service']),
    ...(['=~', '!~'] as const).map((is) => ({
      name: `workload to services, principal ${is} spiffe: requests by code`,
      expr: rounded(
        sum(requests, { destination_principal: `${is}"spiffe.*"`, ...caller }, '5m', [
          'destination_service',
          'response_code',
        ]),
      ),
    })),
  ]
}

const joined = (expr: string): string =>
  `label_join(${expr}, "destination_workload_var", ".", "destination_workload", "destination_workload_namespace")`
const overall = { reporter: '=~"source|waypoint"' }
const rate = (metric: string, conditions: Conditions, by: readonly string[] = []): string =>
  `sum ${by.length === 0 ? '' : `by (${by.join(',')}) `}(rate(${selector(metric, conditions)}[1m]))`
const ofCode = (is: string): Conditions => ({ ...overall, response_code: is })

/** Of the overview of a mesh. */
export const meshPanels: readonly IstioPanel[] = [
  ...named('mesh', {
    'traffic volume': `round(${rate(requests, overall)}, 0.01)`,
    'success rate': `${rate(requests, ofCode('!~"5.."'))} / ${rate(requests, overall)}`,
    '4xx': `round(${rate(requests, ofCode('=~"4.."'))}, 0.01) or vector(0)`,
    '5xx': `round(${rate(requests, ofCode('=~"5.."'))}, 0.01) or vector(0)`,
    'requests by workload': joined(rate(requests, overall, [...workloadOf.server, 'destination_service'])),
    'success by workload': joined(
      `${rate(requests, ofCode('!~"5.."'), workloadOf.server)} / ${rate(requests, overall, workloadOf.server)}`,
    ),
    'component versions': 'sum by (component,tag) (istio_build)',
  }),
  ...['0.5', '0.9', '0.99'].map((share) => ({
    name: `mesh: duration ${share} by workload`,
    expr: joined(
      `histogram_quantile(${share}, ${rate('istio_request_duration_milliseconds_bucket', overall, ['le', ...workloadOf.server])})`,
    ),
  })),
  ...Object.entries(bytes).map(([direction, metric]) => ({
    name: `mesh: TCP ${direction} by workload`,
    expr: joined(rate(metric, overall, [...workloadOf.server, 'destination_service'])),
  })),
]

/**
 * Of the performance dashboard, what is about the data path: the bytes that pass its proxies. Its other panels are
 * about containers and about istiod.
 */
export const performancePanels: readonly IstioPanel[] = named('performance', {
  'bytes of the proxies': (['istio_response_bytes', 'istio_request_bytes'] as const)
    .flatMap((metric) =>
      (['source', 'destination'] as const).map((side) =>
        sum(`${metric}_sum`, { [`${side}_workload_namespace`]: '!="istio-system"', reporter: `="${side}"` }, '1m'),
      ),
    )
    .join(' + '),
  'component versions': 'sum(istio_build) by (component, tag)',
})

/** Of the lists that a user chooses from. */
export function choices({ reporter, service }: Chosen): IstioPanel[] {
  const list = (label: string, conditions: Conditions): [string, string] => [
    label,
    `sum(${selector(requests, conditions)}) by (${label}) or sum(${selector(bytes.sent, conditions)}) by (${label})`,
  ]
  const ofService = { reporter: `=~"${reporter}"`, destination_service: `=~"${service}"` }
  return named(
    'choice',
    Object.fromEntries([
      list('destination_service', {}),
      ...['source_cluster', ...workloadOf.client].map((label) => list(label, ofService)),
      ...['destination_cluster', ...workloadOf.server].map((label) => list(label, ofService)),
    ]),
  )
}
