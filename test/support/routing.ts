/**
 * Builders for routing tests: requests as routing sees them, virtual hosts from routes or from YAML, all without a
 * clock.
 */
import type { InboundApplication } from '../../agent/control/core/rules/types.ts'
import { RuleStore } from '../../agent/control/core/rules/rule-store.ts'
import { splitAuthority } from '../../agent/worker/route/authority.ts'
import { noFilterCounts } from '../../agent/worker/filters/filter-counts.ts'
import type { Filter } from '../../agent/worker/filters/filter.ts'
import type { RoutingContext } from '../../agent/worker/forward/routing.ts'
import type { ReplyHead } from '../../agent/worker/filters/answer.ts'
import { filterTable } from '../../agent/worker/filters/table.ts'
import { allFilterKinds } from './filter-kinds.ts'
import { VerdictCounts } from '../../agent/worker/filters/verdict-counts.ts'
import { compileVirtualHost } from '../../agent/worker/route/virtual-host.ts'
import { RouteIds } from '../../agent/worker/route/route-ids.ts'
import { noIdentity } from '../../agent/worker/transport/transport.ts'
import type { ConnectionView, HeaderEdits, RequestView, VirtualHost } from '../../agent/worker/route/types.ts'
import type { ServiceKey } from '../../contracts/endpoint.ts'
import type { HttpMatchSpec, HttpRouteSpec, VirtualHostSpec } from '../../contracts/route-spec.ts'
import type { SourceAppSpec } from '../../contracts/snapshot.ts'

export interface RequestTraits {
  method?: string
  /** With query. */
  path?: string
  host?: string
  scheme?: 'http' | 'https'
  port?: number
  from?: string
  source?: SourceAppSpec
  headers?: Readonly<Record<string, string>>
}

export function request(traits: RequestTraits = {}): RequestView {
  const { path = '/', host = 'orders', headers = {} } = traits
  const mark = path.indexOf('?')
  return {
    method: traits.method ?? 'GET',
    path: mark < 0 ? path : path.slice(0, mark),
    query: mark < 0 ? '' : path.slice(mark + 1),
    authority: host.toLowerCase(),
    scheme: traits.scheme ?? 'http',
    localPort: traits.port ?? 15_001,
    isNamedByHost: traits.port === undefined,
    namedPort: traits.port === undefined ? (splitAuthority(host)[1] ?? 0) : 0,
    sourceAddress: traits.from ?? '127.0.0.1',
    source: traits.source,
    header: (name) => (name === 'host' ? host : headers[name]),
    headerValues: (name) => (name === 'host' ? host : headers[name]),
  }
}

export function connection(traits: Partial<ConnectionView> = {}): ConnectionView {
  return {
    localPort: 20_001,
    localAddress: '127.0.0.1',
    sourceAddress: '127.0.0.1',
    source: undefined,
    serverName: '',
    ...traits,
  }
}

export function app(name: string, labels: Readonly<Record<string, string>> = {}, namespace = 'public'): SourceAppSpec {
  return { app: name, namespace, labels }
}

/** Of a caller that nobody knows; `edits` hears what a filter makes of the request. */
export function context(
  view: RequestView,
  now = 0,
  random: () => number = () => 0.5,
  edits: HeaderEdits[] = [],
): RoutingContext {
  return {
    view,
    edited: view,
    peer: noIdentity,
    now,
    random,
    token: null,
    kept: null,
    mayChangeReply: false,
    isReplyChanged: false,
    contentLength: -1,
    changeReply: () => {},
    limitContent: () => {},
    readContent: () => ({ cancel: () => {} }),
    refusedReply: null,
    note: () => {},
    caller: 'cart',
    countOverride: () => {},
    eachField: () => {},
    editRequest: (one) => edits.push(one),
    editReply: () => {},
  }
}

/** Of a reply without fields. */
export function replyHead(status: number): ReplyHead {
  return { status, hasContent: false, contentLength: -1, header: () => undefined, eachField: () => {} }
}

/** A local application of this service behind its inbound port. */
export function inboundApplication(service: ServiceKey, more: Partial<InboundApplication> = {}): InboundApplication {
  const labels = { app: service.slice(service.indexOf('@@') + 2) }
  return { key: service, labels, address: '10.0.0.1', port: 8080, ...more }
}

export const orders: ServiceKey = 'public/DEFAULT_GROUP@@orders'

export function key(name: string): ServiceKey {
  return `public/DEFAULT_GROUP@@${name}`
}

/** A route that forwards to the service of its own name. */
export function route(
  name: string,
  matches: readonly HttpMatchSpec[] = [],
  more: Partial<HttpRouteSpec> = {},
): HttpRouteSpec {
  return {
    name,
    origin: { kind: 'VirtualService', name: 'public/test', path: `spec.http.${name}` },
    matches,
    action: { kind: 'forward', destinations: [{ service: key(name), weight: 1 }] },
    timeoutMs: 0,
    ...more,
  }
}

export function hostSpec(http: readonly HttpRouteSpec[], more: Partial<VirtualHostSpec> = {}): VirtualHostSpec {
  return { name: orders, domains: ['orders'], http, tcp: [], ...more }
}

export function compiled(
  spec: VirtualHostSpec,
  former?: VirtualHost,
  ids = new RouteIds(),
  limitShare = 1,
  verdicts = new VerdictCounts(allFilterKinds()),
): VirtualHost {
  const filters = filterTable(allFilterKinds(), noFilterCounts(), verdicts)
  return compileVirtualHost(spec, { ids, now: 0, limitShare, former, filters })
}

/** The filters of a route with these rules, in order. */
export function filtersOf(more: Partial<HttpRouteSpec>): Filter[] {
  return virtualHost([route('a', [], more)]).routes[0]!.filters.map(({ filter }) => filter)
}

export function virtualHost(http: readonly HttpRouteSpec[]): VirtualHost {
  return compiled(hostSpec(http))
}

export function ruleStore(): RuleStore {
  return new RuleStore({ namespace: 'public', group: 'DEFAULT_GROUP', groups: ['PAYMENTS'], namespaces: ['prod'] })
}

/** A store with one document; fails with all problems if a resource is not applied. */
export function rules(text: string): RuleStore {
  const store = ruleStore()
  const { statuses } = store.replaceSource('rules.d', [{ name: 'rules.yaml', text }])
  const bad = statuses.filter((status) => status.state !== 'applied')
  if (bad.length > 0) throw new Error(JSON.stringify(bad, null, 1))
  return store
}

/** `path: message` of every problem of a document that is expected to be refused. */
export function problemsOf(text: string): string[] {
  const { statuses } = ruleStore().replaceSource('rules.d', [{ name: 'rules.yaml', text }])
  return statuses.flatMap((status) => status.problems.map((problem) => `${problem.path}: ${problem.message}`))
}

/** A VirtualService for `orders` with this `spec.http` (a YAML list, unindented). */
export function ordersRoutes(http: string): string {
  return resource('VirtualService', `hosts: [orders]\nhttp:\n${http.trim()}`)
}

function apiVersionOf(kind: string): string {
  if (kind === 'MeshPolicy') return 'hostmesh.io/v1'
  return kind === 'AuthorizationPolicy' || kind === 'RequestAuthentication'
    ? 'security.istio.io/v1'
    : 'networking.istio.io/v1'
}

/** A resource named `orders` with this spec (YAML, unindented). */
export function resource(kind: string, spec: string, name = 'orders', annotations = ''): string {
  const version = apiVersionOf(kind)
  const body = spec
    .trim()
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n')
  return `apiVersion: ${version}\nkind: ${kind}\nmetadata: { name: ${name}${annotations === '' ? '' : `, annotations: { ${annotations} }`} }\nspec:\n${body}\n`
}
