/**
 * What the road sees of routing: pure functions over compiled virtual hosts. Nothing here opens a socket, reads a clock or throws.
 *
 * The functions of routing, for `forward/` and `protocols/`:
 *
 *   compileVirtualHost(spec, options)        `virtual-host.ts`   spec to matchers; filters keep their state if handed the former VirtualHost
 *   matchRoute(host, view)                   `virtual-host.ts`   first matching Route or undefined
 *   matchTcpRoute(host, view)                `tcp-route.ts`      first matching TcpRoute or undefined
 *   chooseDestination(route, random)         `destination.ts`    by weight; undefined only for a route without destinations
 *   new NameTable()                          `name-table.ts`     Host or x-mesh-service to a virtual host
 *   readHash, connectionHash, makeHashCookie `hash-key.ts`
 *   chooseMirrors(route, random, send)       `mirror.ts`
 *   exportLimits, importLimits               `limit-state.ts`    token buckets for the next generation
 *   explainRequest                           `explain.ts`
 *
 * A redirect, a direct response, a fault, a preflight and a rate limit are all filters: run `route.filters` in order; the first reply ends the chain. A route
 * without destinations always has a filter that replies.
 */
import type { ErrorCode } from '../../../contracts/errors.ts'
import type {
  DestinationSpec,
  HttpRouteSpec,
  RetrySpec,
  TcpRouteSpec,
  VirtualHostSpec,
} from '../../../contracts/route-spec.ts'
import type { SourceAppSpec } from '../../../contracts/snapshot.ts'

/**
 * A request as routing reads it. The exchange of the data path implements it lazily over the head's bytes; `explain` implements it over plain values.
 * A route that matches on nothing but a path prefix never makes the other getters run.
 */
export interface RequestView {
  readonly method: string
  /** Without query, exactly as sent (R37). */
  readonly path: string
  /** Without `?`; empty if none. */
  readonly query: string
  /** Lower case, with the port if the caller wrote one. */
  readonly authority: string
  readonly scheme: 'http' | 'https'
  /** Port of the listener. */
  readonly localPort: number
  /** Whether Host names the service: not on a port of one service, and not beside `x-mesh-service`. */
  readonly isNamedByHost: boolean
  /** The port in Host where Host names the service; 0 = none. */
  readonly namedPort: number
  /** Address of the caller. */
  readonly sourceAddress: string
  readonly source: SourceAppSpec | undefined
  /** First value of a field; `name` in lower case. */
  header(name: string): string | undefined
  /** All values of a field, joined by commas as they came; what rules are matched against. */
  headerValues(name: string): string | undefined
}

/** A connection as TCP routing reads it. */
export interface ConnectionView {
  readonly localPort: number
  readonly localAddress: string
  readonly sourceAddress: string
  readonly source: SourceAppSpec | undefined
}

/** Compiled form of a virtual host. */
export interface VirtualHost {
  readonly name: string
  readonly spec: VirtualHostSpec
  /** In order; a rule whose matches rewrite differently has one Route per match, all with the same `id` and filters. */
  readonly routes: readonly Route[]
  readonly tcpRoutes: readonly TcpRoute[]
  /** The matches of all routes, in order. */
  readonly table: RouteTable
  /** The host's own (`own-host.ts`): its requests are neither counted nor logged. */
  readonly isOwn: boolean
}

/** Finds the first route that matches; see `route-table.ts`. */
export interface RouteTable {
  find(view: RequestView): Route | undefined
}

/** Fields of a head in their order, names in lower case. Names and values were validated where they came in; how they look on the wire is the codec's business. */
export type Fields = readonly (readonly [name: string, value: string])[]

/**
 * What happens to the fields of a forwarded head: some are left out, some are added. Never changed once made: a codec keeps the bytes that it made of an object as long as
 * the object lives.
 */
export interface HeaderEdits {
  /** Added behind what is there. */
  readonly fields: Fields
  /** Lower-case names of fields to leave out. */
  readonly drop: ReadonlySet<string>
}

export interface Destination {
  readonly spec: DestinationSpec
  /** Key into the worker's cluster table: `service|subset|port`; for callers that name no port of the service. */
  readonly clusterKey: string
  /** Keys by the port that a caller named; null where it makes no difference. */
  readonly portKeys: ReadonlyMap<number, string> | null
  /** For callers that named another port. */
  readonly otherKey: string
  /** New Host for the upstream; null = as the route says. */
  readonly authority: string | null
  readonly requestEdits: HeaderEdits | null
  readonly responseEdits: HeaderEdits | null
}

export interface Route {
  /** Dense number inside the worker, for typed-array counters. */
  readonly id: number
  readonly spec: HttpRouteSpec
  /** Empty unless the action is forward. */
  readonly destinations: readonly Destination[]
  /** Run in order between route and forward; empty for most routes. */
  readonly filters: readonly Filter[]
  /** Run on the response head, in order. */
  readonly responseFilters: readonly ResponseFilter[]
  readonly requestEdits: HeaderEdits | null
  readonly responseEdits: HeaderEdits | null
  /** New path for the upstream, without query; the query is kept. null = as it came. One Route per match where the match decides (prefix rewrite). */
  readonly rewritePath: ((view: RequestView) => string) | null
  /** New Host for the upstream. */
  readonly rewriteAuthority: string | null
  readonly retry: RetryPolicy | null
  readonly mirrors: readonly Mirror[]
}

export interface TcpRoute {
  readonly id: number
  readonly spec: TcpRouteSpec
  readonly destinations: readonly Destination[]
  /** Conditions of each match, any match is enough; see `tcp-route.ts`. */
  readonly matches: readonly (readonly TcpCondition[])[]
}

/** One condition of a TCP match, able to say why it failed. */
export interface TcpCondition {
  test(view: ConnectionView): boolean
  describeMiss(view: ConnectionView): string
}

/** What a filter may use: time and random are handed in. */
export interface FilterContext {
  readonly view: RequestView
  /** Monotonic ms. */
  readonly now: number
  readonly random: () => number
}

/** `null` = go on. A delay is served once, then the chain goes on behind the filter that asked for it. */
export type FilterVerdict = null | Answer | { readonly kind: 'delay'; readonly ms: number }

/** An answer made by us. */
export interface Answer {
  readonly kind: 'answer'
  readonly status: number
  /** undefined: this is an answer that a rule asked for (redirect, direct response, preflight), not an error. */
  readonly code: ErrorCode | undefined
  /** Envoy's response flag, `-` for none. */
  readonly flag: string
  readonly fields: Fields
  /** Announced but not sent to HEAD; never sent with 204 and 304. */
  readonly body: Buffer
}

/** What filters did, for metrics; the worker's tallies hold the numbers. */
export interface FilterCounts {
  faultDelays: number
  faultAborts: number
  preflights: number
  redirects: number
  directResponses: number
  rateLimited: number
  /** Callers that a rate limit forgot at its bound. */
  forgottenCallers: number
}

export interface Filter {
  readonly name: string
  onRequest(context: FilterContext): FilterVerdict
}

export interface ResponseFilter {
  readonly name: string
  /** What becomes of the response head, null for nothing. Depends on the request (CORS) and the status. */
  onResponse(context: FilterContext, status: number): HeaderEdits | null
}

/** A cookie made by us for a caller without one: `edits` add its `set-cookie` to the response head. */
export interface HashCookie {
  readonly hash: number
  readonly edits: HeaderEdits
}

/** What may be tried again, ready to ask (`retry-policy.ts`). What was sent and the budget are decided elsewhere. */
export interface RetryPolicy {
  readonly spec: RetrySpec
  /** Whether a response with this status asks for another attempt. */
  onStatus(status: number): boolean
  /** Whether `grpc-status` of a response head matters at all. */
  readonly readsGrpcStatus: boolean
  /** Whether a response head with this `grpc-status` asks for another attempt. */
  onGrpcStatus(code: string): boolean
  /** No connection was made: nothing was sent. */
  readonly onConnectFailure: boolean
  /** Closed, reset or timed out (per try) after some of the request was sent and before a response head. */
  readonly onReset: boolean
  /** Closed or reset before any byte of the request was sent. */
  readonly onResetBeforeRequest: boolean
}

export interface Mirror {
  readonly destination: Destination
  readonly share: number
}
