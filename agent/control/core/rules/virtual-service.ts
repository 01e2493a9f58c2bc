/** Compiles a VirtualService that passed its shape into routes. Pure; every value gets its origin. */
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import type {
  CorsSpec,
  DestinationSpec,
  FilterSpec,
  HeaderEditsSpec,
  HttpActionSpec,
  HttpMatchSpec,
  HttpRouteSpec,
  MirrorSpec,
  RetrySpec,
  RewriteSpec,
  RuleOrigin,
  StringMatchSpec,
  TcpMatchSpec,
  TcpRouteSpec,
} from '../../../../contracts/route-spec.ts'
import { filterField } from './filter-order.ts'
import { defaultRetry, defaultRetryOn } from './retry-words.ts'
import { claimMatches, withoutClaims } from './claim-name.ts'
import type { HttpRouteShape, TcpRouteShape, TlsRouteShape, VirtualServiceSpec } from './virtual-service-shape.ts'

export interface CompiledRoutes {
  /** undefined: the resource has no routes of this kind, the implicit one stays. */
  readonly http: readonly HttpRouteSpec[] | undefined
  readonly tcp: readonly TcpRouteSpec[] | undefined
}

/** How a host of this resource reads as a key; the shape has checked that it does. */
export type ResolveHost = (host: string) => ServiceKey

type OriginAt = (path: string) => RuleOrigin
type Destination = NonNullable<HttpRouteShape['mirror']>
type HttpMatch = NonNullable<HttpRouteShape['match']>[number]
type ConnectionMatch = NonNullable<TcpRouteShape['match']>[number] &
  Partial<NonNullable<TlsRouteShape['match']>[number]>
type HeaderEdits = NonNullable<NonNullable<HttpRouteShape['headers']>['request']>

/** A route with what its resource makes of hosts and places: those of a delegate stay the delegate's. */
export interface RouteSource {
  readonly route: HttpRouteShape
  readonly name: string
  readonly resolve: ResolveHost
  /** Where the namespace of a caller in the resource leads to. */
  readonly callerNamespace: (namespace: string) => string
  readonly origin: RuleOrigin
}

export interface RuleReader {
  readonly resolve: ResolveHost
  readonly callerNamespace: (namespace: string) => string
  readonly origin: OriginAt
}

/** What a match says of where it holds. */
export type IsMeant = (match: { readonly gateways?: readonly string[] | undefined }) => boolean

/**
 * Routes that say something about the mesh, or what else `isMeant` stands for, as they are written; `delegated` gives
 * those of another resource.
 */
export function compileVirtualService(
  spec: VirtualServiceSpec,
  reader: RuleReader,
  delegated: (route: HttpRouteShape, name: string) => readonly RouteSource[],
  isMeant: IsMeant = isAboutMesh,
): CompiledRoutes {
  const http = routeSources(spec, reader, isMeant).flatMap((source) =>
    source.route.delegate === undefined ? [source] : delegated(source.route, source.name),
  )
  // A connection with a name that a route knows is told apart first, as by the more specific filter chain in Envoy.
  const tcp = [
    ...(spec.tls ?? []).flatMap((route, index) => connectionRoute(route, `tls[${index}]`, reader, isMeant) ?? []),
    ...(spec.tcp ?? []).flatMap((route, index) => connectionRoute(route, `tcp[${index}]`, reader, isMeant) ?? []),
  ]
  return {
    http: spec.http === undefined || (http.length === 0 && !hasDelegates(spec)) ? undefined : http.map(httpRoute),
    tcp: tcp.length === 0 ? undefined : tcp,
  }
}

function hasDelegates(spec: VirtualServiceSpec): boolean {
  return spec.http?.some((route) => route.delegate !== undefined) ?? false
}

/** A route all of whose matches are about something else says nothing here. */
export function routeSources(
  spec: VirtualServiceSpec,
  reader: RuleReader,
  isMeant: IsMeant = isAboutMesh,
): RouteSource[] {
  return (spec.http ?? []).flatMap((route, index) => {
    const match = route.match?.filter(isMeant)
    if (match?.length === 0) return []
    return {
      route: match === undefined ? route : { ...route, match },
      name: route.name ?? `http[${index}]`,
      resolve: reader.resolve,
      callerNamespace: reader.callerNamespace,
      origin: reader.origin(`spec.http[${index}]`),
    }
  })
}

export function isAboutMesh(match: Parameters<IsMeant>[0]): boolean {
  return match.gateways === undefined || match.gateways.length === 0 || match.gateways.includes('mesh')
}

function httpRoute({ route, name, resolve, callerNamespace, origin }: RouteSource): HttpRouteSpec {
  const retry = retrySpec(route)
  const mirrors = mirrorSpecs(route, resolve)
  const authority = hostHeader(route.headers)
  const rewrite = {
    ...(route.rewrite === undefined ? {} : rewriteSpec(route.rewrite)),
    ...(authority === undefined ? {} : { authority }),
  }
  return {
    name,
    origin,
    matches: (route.match ?? []).map((match) => httpMatch(match, callerNamespace)),
    action: action(route, resolve),
    timeoutMs: route.timeout ?? 0,
    ...(Object.keys(rewrite).length === 0 ? {} : { rewrite }),
    ...(retry === undefined ? {} : { retry }),
    ...filterField([...faultFilters(route.fault), ...corsFilters(route.corsPolicy)]),
    ...(mirrors.length === 0 ? {} : { mirrors }),
    ...headerFields(route.headers),
  }
}

function httpMatch(match: HttpMatch, callerNamespace: (namespace: string) => string): HttpMatchSpec {
  const { gateways: _, statPrefix: __, headers, withoutHeaders, sourceNamespace, ...fields } = match
  return withoutUndefined({
    ...fields,
    headers: withoutClaims(headers),
    withoutHeaders: withoutClaims(withoutHeaders),
    claims: claimMatches(headers, withoutHeaders),
    sourceNamespace: sourceNamespace === undefined ? undefined : callerNamespace(sourceNamespace),
  })
}

/** `set: { Host: … }`: the next hop is named as a rewrite of the authority names it. */
function hostHeader(headers: HttpRouteShape['headers']): string | undefined {
  return headers?.request?.set.find(([name]) => name === 'host')?.[1]
}

function action(route: HttpRouteShape, resolve: ResolveHost): HttpActionSpec {
  const { redirect, directResponse } = route
  if (redirect !== undefined) {
    const port =
      redirect.derivePort === undefined
        ? redirect.port
        : redirect.derivePort === 'FROM_REQUEST_PORT'
          ? ('from-request' as const)
          : ('from-protocol-default' as const)
    return {
      kind: 'redirect',
      status: redirect.redirectCode ?? 301,
      ...withoutUndefined({ uri: redirect.uri, authority: redirect.authority, scheme: redirect.scheme, port }),
    }
  }
  if (directResponse !== undefined) {
    const bytes = directResponse.body?.bytes
    const body = bytes ?? directResponse.body?.string ?? ''
    const isJson = bytes === undefined && /^\s*[[{]/.test(body)
    return {
      kind: 'direct',
      status: directResponse.status,
      body,
      ...(bytes === undefined ? {} : { bodyIsBase64: true }),
      contentType: bytes !== undefined ? 'application/octet-stream' : isJson ? 'application/json' : 'text/plain',
    }
  }
  return { kind: 'forward', destinations: weighted(route.route ?? [], resolve) }
}

/** Weight 0 takes no traffic: left out. A single destination without a weight takes all. */
function weighted(
  routes: readonly {
    readonly destination: Destination
    readonly weight?: number | undefined
    readonly headers?: HttpRouteShape['headers']
  }[],
  resolve: ResolveHost,
): DestinationSpec[] {
  return routes
    .filter((route) => route.weight !== 0)
    .map((route) => ({
      ...destinationSpec(route.destination, resolve, route.weight ?? 100),
      ...withoutUndefined({ authority: hostHeader(route.headers) }),
      ...headerFields(route.headers),
    }))
}

function destinationSpec(destination: Destination, resolve: ResolveHost, weight: number): DestinationSpec {
  return {
    service: resolve(destination.host),
    weight,
    ...withoutUndefined({ subset: destination.subset, port: destination.port }),
  }
}

function headerFields(headers: HttpRouteShape['headers']): {
  requestHeaders?: HeaderEditsSpec
  responseHeaders?: HeaderEditsSpec
} {
  return withoutUndefined({ requestHeaders: edits(headers?.request), responseHeaders: edits(headers?.response) })
}

function edits(spec: HeaderEdits | undefined): HeaderEditsSpec | undefined {
  const set = spec?.set.filter(([name]) => name !== 'host') ?? []
  if (spec === undefined || set.length + spec.add.length + spec.remove.length === 0) return undefined
  return { set, add: spec.add, remove: spec.remove }
}

function rewriteSpec(rewrite: NonNullable<HttpRouteShape['rewrite']>): RewriteSpec {
  return withoutUndefined({ uri: rewrite.uri, uriRegex: rewrite.uriRegexRewrite, authority: rewrite.authority })
}

/** Without `retries` Istio's default; `attempts: 0` switches retries off. */
function retrySpec(route: HttpRouteShape): RetrySpec | undefined {
  if (route.route === undefined) return undefined
  const retries = route.retries
  if (retries === undefined) return defaultRetry
  if (retries.attempts === 0) return undefined
  return {
    attempts: retries.attempts,
    perTryTimeoutMs: retries.perTryTimeout ?? 0,
    ...(retries.retryOn ?? defaultRetryOn),
    backoffMs: retries.backoff ?? defaultRetry.backoffMs,
    ...withoutUndefined({ ignorePreviousHosts: retries.retryIgnorePreviousHosts }),
  }
}

/** Without a percentage a fault applies to no request, as in Istio. */
function faultFilters(fault: HttpRouteShape['fault']): FilterSpec[] {
  const { delay, abort } = fault ?? {}
  const filters: FilterSpec[] = []
  if (delay !== undefined) {
    filters.push({ kind: 'fault-delay', share: delay.percentage ?? delay.percent ?? 0, fixedMs: delay.fixedDelay })
  }
  if (abort !== undefined) {
    filters.push({ kind: 'fault-abort', share: abort.percentage ?? abort.percent ?? 0, status: abort.httpStatus })
  }
  return filters
}

function corsFilters(cors: HttpRouteShape['corsPolicy']): FilterSpec[] {
  return cors === undefined ? [] : [{ kind: 'cors', ...corsSpec(cors) }]
}

function corsSpec(cors: NonNullable<HttpRouteShape['corsPolicy']>): CorsSpec {
  return {
    allowOrigins: [
      ...(cors.allowOrigins ?? []).map((origin) => ('exact' in origin ? originOf(origin.exact) : origin)),
      ...(cors.allowOrigin ?? []).map(originOf),
    ],
    allowMethods: cors.allowMethods ?? [],
    allowHeaders: cors.allowHeaders ?? [],
    exposeHeaders: cors.exposeHeaders ?? [],
    ...(cors.maxAge === undefined ? {} : { maxAgeMs: cors.maxAge }),
    allowCredentials: cors.allowCredentials ?? false,
    ...(cors.unmatchedPreflights === 'IGNORE' ? { forwardUnmatchedPreflights: false } : {}),
  }
}

/** `*` is every origin, as a browser means it. */
function originOf(text: string): StringMatchSpec {
  return text === '*' ? { regex: '.*' } : { exact: text }
}

function mirrorSpecs(route: HttpRouteShape, resolve: ResolveHost): MirrorSpec[] {
  const mirrorShare = route.mirrorPercentage ?? route.mirrorPercent ?? route.mirror_percent
  const all = [
    ...(route.mirror === undefined ? [] : [{ destination: route.mirror, percentage: mirrorShare }]),
    ...(route.mirrors ?? []),
  ]
  return all.map((mirror) => ({
    destination: destinationSpec(mirror.destination, resolve, 1),
    share: mirror.percentage ?? 1,
  }))
}

function connectionRoute(
  route: TcpRouteShape | TlsRouteShape,
  name: string,
  reader: RuleReader,
  isMeant: IsMeant,
): TcpRouteSpec | undefined {
  const match: readonly ConnectionMatch[] | undefined = route.match?.filter(isMeant)
  if (match?.length === 0) return undefined
  return {
    name,
    origin: reader.origin(`spec.${name}`),
    matches: (match ?? []).map((one) => connectionMatch(one, reader.callerNamespace)),
    destinations: weighted(route.route, reader.resolve),
  }
}

function connectionMatch(match: ConnectionMatch, callerNamespace: (namespace: string) => string): TcpMatchSpec {
  return withoutUndefined({
    port: match.port,
    sourceLabels: match.sourceLabels,
    sourceNamespace: match.sourceNamespace === undefined ? undefined : callerNamespace(match.sourceNamespace),
    sourceSubnets: match.sourceSubnet === undefined ? undefined : [match.sourceSubnet],
    destinationSubnets: match.destinationSubnets,
    sniHosts: match.sniHosts,
  })
}

type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}

function withoutUndefined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>
}
