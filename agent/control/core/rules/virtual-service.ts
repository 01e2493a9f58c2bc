/** Compiles a VirtualService that passed its shape into routes. Pure; every value gets its origin. */
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import type {
  CorsSpec,
  DestinationSpec,
  FaultSpec,
  HeaderEditsSpec,
  HttpActionSpec,
  HttpMatchSpec,
  HttpRouteSpec,
  MirrorSpec,
  RetrySpec,
  RewriteSpec,
  RuleOrigin,
  TcpMatchSpec,
  TcpRouteSpec,
} from '../../../../contracts/route-spec.ts'
import { defaultRetry, defaultRetryOn } from './retry-words.ts'
import type { HttpRouteShape, TcpRouteShape, VirtualServiceSpec } from './virtual-service-shape.ts'

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
type TcpMatch = NonNullable<TcpRouteShape['match']>[number]
type HeaderEdits = NonNullable<NonNullable<HttpRouteShape['headers']>['request']>

export function compileVirtualService(
  spec: VirtualServiceSpec,
  resolve: ResolveHost,
  origin: OriginAt,
): CompiledRoutes {
  return {
    http: spec.http?.map((route, index) => httpRoute(route, index, resolve, origin)),
    tcp: spec.tcp?.map((route, index) => tcpRoute(route, index, resolve, origin)),
  }
}

function httpRoute(route: HttpRouteShape, index: number, resolve: ResolveHost, origin: OriginAt): HttpRouteSpec {
  const retry = retrySpec(route)
  const mirrors = mirrorSpecs(route, resolve)
  return {
    name: route.name ?? `http[${index}]`,
    origin: origin(`spec.http[${index}]`),
    matches: (route.match ?? []).map(httpMatch),
    action: action(route, resolve),
    timeoutMs: route.timeout ?? 0,
    ...(route.rewrite === undefined ? {} : { rewrite: rewriteSpec(route.rewrite) }),
    ...(retry === undefined ? {} : { retry }),
    ...(route.fault === undefined ? {} : { fault: faultSpec(route.fault) }),
    ...(route.corsPolicy === undefined ? {} : { cors: corsSpec(route.corsPolicy) }),
    ...(mirrors.length === 0 ? {} : { mirrors }),
    ...headerFields(route.headers),
  }
}

function httpMatch(match: HttpMatch): HttpMatchSpec {
  const { gateways: _, statPrefix: __, ...fields } = match
  return withoutUndefined(fields)
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
  if (spec === undefined || spec.set.length + spec.add.length + spec.remove.length === 0) return undefined
  return { set: spec.set, add: spec.add, remove: spec.remove }
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
  }
}

function faultSpec(fault: NonNullable<HttpRouteShape['fault']>): FaultSpec {
  const { delay, abort } = fault
  return {
    ...(delay === undefined ? {} : { delay: { share: delay.percentage ?? 1, fixedMs: delay.fixedDelay } }),
    ...(abort === undefined ? {} : { abort: { share: abort.percentage ?? 1, status: abort.httpStatus } }),
  }
}

function corsSpec(cors: NonNullable<HttpRouteShape['corsPolicy']>): CorsSpec {
  return {
    allowOrigins: cors.allowOrigins,
    allowMethods: cors.allowMethods ?? [],
    allowHeaders: cors.allowHeaders ?? [],
    exposeHeaders: cors.exposeHeaders ?? [],
    ...(cors.maxAge === undefined ? {} : { maxAgeMs: cors.maxAge }),
    allowCredentials: cors.allowCredentials ?? false,
    ...(cors.unmatchedPreflights === 'IGNORE' ? { forwardUnmatchedPreflights: false } : {}),
  }
}

function mirrorSpecs(route: HttpRouteShape, resolve: ResolveHost): MirrorSpec[] {
  const all = [
    ...(route.mirror === undefined ? [] : [{ destination: route.mirror, percentage: route.mirrorPercentage }]),
    ...(route.mirrors ?? []),
  ]
  return all.map((mirror) => ({
    destination: destinationSpec(mirror.destination, resolve, 1),
    share: mirror.percentage ?? 1,
  }))
}

function tcpRoute(route: TcpRouteShape, index: number, resolve: ResolveHost, origin: OriginAt): TcpRouteSpec {
  return {
    name: `tcp[${index}]`,
    origin: origin(`spec.tcp[${index}]`),
    matches: (route.match ?? []).map(tcpMatch),
    destinations: weighted(route.route, resolve),
  }
}

function tcpMatch(match: TcpMatch): TcpMatchSpec {
  return withoutUndefined({
    port: match.port,
    sourceLabels: match.sourceLabels,
    sourceNamespace: match.sourceNamespace,
    sourceSubnets: match.sourceSubnet === undefined ? undefined : [match.sourceSubnet],
    destinationSubnets: match.destinationSubnets,
  })
}

type Defined<T> = { [K in keyof T as undefined extends T[K] ? never : K]: T[K] } & {
  [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined>
}

function withoutUndefined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>
}
