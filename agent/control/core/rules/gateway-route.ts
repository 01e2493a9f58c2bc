/**
 * Routes of the Gateway API as routes of the mesh. Every match is a route of its own, in the order of the Gateway API:
 * an exact path first, then the longest, then method, number of headers and of query parameters; among equals in the
 * order of the resources and their rules.
 */
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import type {
  DestinationSpec,
  HeaderEditsSpec,
  HttpActionSpec,
  HttpMatchSpec,
  HttpRouteSpec,
  MirrorSpec,
  PresenceMatchSpec,
  RewriteSpec,
  StringMatchSpec,
  TcpRouteSpec,
} from '../../../../contracts/route-spec.ts'
import { hostOf, parentsOf } from './gateway-parents.ts'
import type { GrpcRule, HttpRule, RouteFilter, TcpRouteSpecOf } from './gateway-route-shape.ts'
import { defaultRetry } from './retry-words.ts'
import type { ResourceOf } from './rule-resource.ts'

type GatewayRoute = ResourceOf<'HTTPRoute'> | ResourceOf<'GRPCRoute'>

/** A route with what its place in the order depends on. */
interface Ranked {
  readonly route: HttpRouteSpec
  readonly rank: readonly number[]
}

/** All HTTP and gRPC routes about a service, in the order in which they are asked. */
export function gatewayHttpRoutes(resources: readonly GatewayRoute[], key: ServiceKey): HttpRouteSpec[] {
  return resources
    .flatMap((resource) => rankedRoutes(resource, key))
    .toSorted((a, b) => compareRanks(a.rank, b.rank))
    .map(({ route }) => route)
}

/** The first rule of the first resource: a connection shows nothing by which one could choose. */
export function gatewayTcpRoutes(resources: readonly ResourceOf<'TCPRoute'>[], key: ServiceKey): TcpRouteSpec[] {
  return resources.flatMap((resource) =>
    resource.spec.rules.map((rule, index) => {
      const ports = portsFor(resource, key)
      return {
        name: rule.name ?? `${resource.name}-rules[${index}]`,
        origin: resource.origin(`spec.rules[${index}]`),
        matches: ports.map((port) => ({ port })),
        destinations: destinations(rule.backendRefs, resource),
      }
    }),
  )
}

function rankedRoutes(resource: GatewayRoute, key: ServiceKey): Ranked[] {
  const ports = portsFor(resource, key)
  const rules: readonly (HttpRule | GrpcRule)[] = resource.spec.rules ?? [{}]
  return rules.flatMap((rule, index) => {
    const given = resource.kind === 'HTTPRoute' ? httpMatches(rule as HttpRule) : grpcMatches(rule as GrpcRule)
    return given.map(({ matches, rank, prefix }, at) => {
      const name = `${resource.name}-${rule.name ?? `rules[${index}]`}${given.length > 1 ? `-${at}` : ''}`
      const base = { name, origin: resource.origin(`spec.rules[${index}]`) }
      return { route: routeOf(base, rule, withPorts(matches, ports), prefix, resource), rank }
    })
  })
}

function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) if (value !== b[index]) return (b[index] ?? 0) - value
  return 0
}

/** Ports of the parents that name one; none if a parent is the whole service. */
function portsFor(resource: GatewayRoute | ResourceOf<'TCPRoute'>, key: ServiceKey): number[] {
  const own = parentsOf(resource.spec.parentRefs).filter(({ name }) => resource.reader.resolve(name) === key)
  return own.some(({ port }) => port === undefined) ? [] : own.flatMap(({ port }) => port ?? [])
}

function withPorts(matches: readonly HttpMatchSpec[], ports: readonly number[]): HttpMatchSpec[] {
  if (ports.length === 0) return [...matches]
  return (matches.length === 0 ? [{}] : matches).flatMap((match) => ports.map((port) => ({ ...match, port })))
}

interface Given {
  readonly matches: readonly HttpMatchSpec[]
  /** Path of a prefix match, without a slash at its end. */
  readonly prefix: string
  readonly rank: readonly number[]
}

/** A prefix counts by whole parts of the path: `/a` takes `/a` and `/a/b`, not `/ab`. */
function httpMatches(rule: HttpRule): Given[] {
  const given = rule.matches === undefined || rule.matches.length === 0 ? [{}] : rule.matches
  return given.map((match: NonNullable<HttpRule['matches']>[number]) => {
    const { type = 'PathPrefix', value = '/' } = match.path ?? {}
    const conditions: HttpMatchSpec = {
      ...(match.method === undefined ? {} : { method: { exact: match.method } }),
      ...conditionsOf('headers', match.headers),
      ...conditionsOf('queryParams', match.queryParams),
    }
    const paths = pathsOf(type, value)
    const matches = paths.length === 0 ? [conditions] : paths.map((uri) => ({ ...conditions, uri }))
    const isEmpty = paths.length === 0 && Object.keys(conditions).length === 0
    const counts = [match.method === undefined ? 0 : 1, match.headers?.length ?? 0, match.queryParams?.length ?? 0]
    const prefix = type === 'PathPrefix' && value.endsWith('/') ? value.slice(0, -1) : value
    return { matches: isEmpty ? [] : matches, prefix, rank: [type === 'Exact' ? 1 : 0, value.length, ...counts] }
  })
}

function pathsOf(type: 'Exact' | 'PathPrefix' | 'RegularExpression', value: string): StringMatchSpec[] {
  if (type === 'Exact') return [{ exact: value }]
  if (type === 'RegularExpression') return [{ regex: value }]
  if (value === '/') return []
  const whole = value.endsWith('/') ? value.slice(0, -1) : value
  return [{ prefix: `${whole}/` }, { exact: whole }]
}

function grpcMatches(rule: GrpcRule): Given[] {
  const given = rule.matches === undefined || rule.matches.length === 0 ? [{}] : rule.matches
  return given.map((match: NonNullable<GrpcRule['matches']>[number]) => {
    const { type = 'Exact', service, method } = match.method ?? {}
    const uri = grpcPath(type, service, method)
    const conditions = { ...(uri === undefined ? {} : { uri }), ...conditionsOf('headers', match.headers) }
    const rank = [type === 'Exact' ? 1 : 0, service?.length ?? 0, method?.length ?? 0, match.headers?.length ?? 0, 0]
    return { matches: Object.keys(conditions).length === 0 ? [] : [conditions], prefix: '', rank }
  })
}

function grpcPath(type: 'Exact' | 'RegularExpression', service?: string, method?: string): StringMatchSpec | undefined {
  if (service === undefined && method === undefined) return undefined
  if (type === 'Exact') {
    if (service !== undefined && method !== undefined) return { exact: `/${service}/${method}` }
    if (service !== undefined) return { prefix: `/${service}/` }
    return { regex: `/[^/]+/${method!.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')}` }
  }
  return { regex: `/${service ?? '[^/]+'}/${method ?? '[^/]+'}` }
}

type ValueMatch = { readonly type?: string | undefined; readonly name: string; readonly value: string }

function conditionsOf(field: 'headers' | 'queryParams', matches: readonly ValueMatch[] | undefined): HttpMatchSpec {
  if (matches === undefined || matches.length === 0) return {}
  const map = new Map<string, PresenceMatchSpec>()
  // the first of a name counts, as the Gateway API has it
  for (const { type, name, value } of matches) {
    if (!map.has(name)) map.set(name, type === 'RegularExpression' ? { regex: value } : { exact: value })
  }
  return { [field]: Object.fromEntries(map) }
}

function routeOf(
  base: Pick<HttpRouteSpec, 'name' | 'origin'>,
  rule: HttpRule | GrpcRule,
  matches: readonly HttpMatchSpec[],
  prefix: string,
  resource: GatewayRoute,
): HttpRouteSpec {
  const filters = rule.filters ?? []
  const action = actionOf(rule, filters, resource)
  const edits = editsOf(filters)
  const shared = { ...base, matches, action, ...edits }
  if (action.kind !== 'forward') return { ...shared, timeoutMs: 0 }
  const mirrors = filters.flatMap((filter) => mirrorOf(filter, resource))
  const rewrite = rewriteOf(filters, prefix)
  const { timeouts, retry } = rule as HttpRule
  const perTry = timeouts?.backendRequest ?? 0
  const codes = retry?.codes ?? []
  return {
    ...shared,
    timeoutMs: timeouts?.request ?? 0,
    ...(retry?.attempts === 0
      ? {}
      : {
          retry: {
            ...defaultRetry,
            attempts: retry?.attempts ?? defaultRetry.attempts,
            perTryTimeoutMs: perTry,
            backoffMs: retry?.backoff ?? defaultRetry.backoffMs,
            ...(codes.length === 0
              ? {}
              : { on: [...defaultRetry.on, 'retriable-status-codes' as const], statuses: codes }),
          },
        }),
    ...(rewrite === undefined ? {} : { rewrite }),
    ...(mirrors.length === 0 ? {} : { mirrors }),
  }
}

/** A rule without a backend that takes traffic answers 500 (the Gateway API's own words). */
function actionOf(rule: HttpRule | GrpcRule, filters: readonly RouteFilter[], resource: GatewayRoute): HttpActionSpec {
  const redirect = filters.find((filter) => filter.requestRedirect !== undefined)?.requestRedirect
  if (redirect !== undefined) {
    const uri = redirect.path?.replaceFullPath
    return {
      kind: 'redirect',
      status: redirect.statusCode ?? 302,
      ...(uri === undefined ? {} : { uri }),
      ...(redirect.hostname === undefined ? {} : { authority: redirect.hostname }),
      ...(redirect.scheme === undefined ? {} : { scheme: redirect.scheme }),
      ...(redirect.port === undefined ? {} : { port: redirect.port }),
    }
  }
  const to = destinations(rule.backendRefs ?? [], resource)
  if (to.length === 0) return { kind: 'direct', status: 500, body: '', contentType: 'text/plain' }
  return { kind: 'forward', destinations: to }
}

type Backend = NonNullable<HttpRule['backendRefs']>[number] | TcpRouteSpecOf['rules'][number]['backendRefs'][number]

function destinations(
  backends: readonly Backend[],
  resource: GatewayRoute | ResourceOf<'TCPRoute'>,
): DestinationSpec[] {
  return backends
    .filter(({ weight }) => weight !== 0)
    .map((backend) => ({
      ...destinationOf(backend, resource),
      weight: backend.weight ?? 1,
      ...('filters' in backend ? editsOf(backend.filters ?? []) : {}),
    }))
}

/** With the port as it is written: whether the service has it by declaration is seen where all rules are. */
function destinationOf(
  backend: { readonly name: string; readonly namespace?: string | undefined; readonly port?: number | undefined },
  resource: GatewayRoute | ResourceOf<'TCPRoute'>,
): DestinationSpec {
  const { port } = backend
  return { service: resource.reader.resolve(hostOf(backend)), weight: 1, ...(port === undefined ? {} : { port }) }
}

function editsOf(filters: readonly Pick<RouteFilter, 'requestHeaderModifier' | 'responseHeaderModifier'>[]): {
  requestHeaders?: HeaderEditsSpec
  responseHeaders?: HeaderEditsSpec
} {
  const request = filters.find((filter) => filter.requestHeaderModifier !== undefined)?.requestHeaderModifier
  const response = filters.find((filter) => filter.responseHeaderModifier !== undefined)?.responseHeaderModifier
  return {
    ...(request === undefined ? {} : { requestHeaders: headerEdits(request) }),
    ...(response === undefined ? {} : { responseHeaders: headerEdits(response) }),
  }
}

function headerEdits(modifier: NonNullable<RouteFilter['requestHeaderModifier']>): HeaderEditsSpec {
  const pairs = (fields: typeof modifier.set) =>
    (fields ?? []).map(({ name, value }) => [name.toLowerCase(), value] as const)
  return {
    set: pairs(modifier.set),
    add: pairs(modifier.add),
    remove: (modifier.remove ?? []).map((name) => name.toLowerCase()),
  }
}

function mirrorOf({ requestMirror }: RouteFilter, resource: GatewayRoute): MirrorSpec[] {
  if (requestMirror === undefined) return []
  const { backendRef, percent, fraction } = requestMirror
  const share =
    fraction === undefined ? (percent ?? 100) / 100 : Math.min(1, fraction.numerator / (fraction.denominator ?? 100))
  return [{ destination: destinationOf(backendRef, resource), share }]
}

/** `prefix`: the path of the match, without a slash at its end. */
function rewriteOf(filters: readonly RouteFilter[], prefix: string): RewriteSpec | undefined {
  const rewrite = filters.find((filter) => filter.urlRewrite !== undefined)?.urlRewrite
  if (rewrite === undefined) return undefined
  const { replaceFullPath: whole, replacePrefixMatch: front } = rewrite.path ?? {}
  const uriRegex =
    whole === undefined
      ? front === undefined
        ? undefined
        : replacedPrefix(prefix, front)
      : { match: '^.*$', rewrite: whole }
  return {
    ...(uriRegex === undefined ? {} : { uriRegex }),
    ...(rewrite.hostname === undefined ? {} : { authority: rewrite.hostname }),
  }
}

/** `/a` to `/b`: `/a/x` becomes `/b/x` and `/a` becomes `/b`; to `/`: `/a/x` becomes `/x` and `/a` becomes `/`. */
function replacedPrefix(prefix: string, front: string): RewriteSpec['uriRegex'] {
  const from = prefix.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')
  const to = front.endsWith('/') ? front.slice(0, -1) : front
  return to === '' ? { match: `^${from}/?(.*)$`, rewrite: '/\\1' } : { match: `^${from}(.*)$`, rewrite: `${to}\\1` }
}
