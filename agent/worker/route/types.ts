/**
 * What the data path sees of routing: pure functions over compiled virtual hosts. Nothing here opens a socket, reads a
 * clock or throws.
 *
 * The functions of routing, for `forward/` and `protocols/`:
 *
 * - `compileVirtualHost(spec, options)`, `virtual-host.ts`: spec to matchers; filters keep their state if handed the
 *   former one
 * - `matchRoute(host, view)`, `virtual-host.ts`, and `matchTcpRoute(host, view)`, `tcp-route.ts`: the first route that
 *   matches, or undefined
 * - `chooseDestination(route, random)`, `destination.ts`: by weight; undefined only for a route without destinations
 * - `new NameTable()`, `name-table.ts`: Host or x-mesh-service to a virtual host
 * - `readHash`, `connectionHash`, `makeHashCookie`, `hash-key.ts`
 * - `chooseMirrors(route, random, send)`, `mirror.ts`
 * - `exportFilters`, `importFilters`, `filter-state.ts`: what filters remember, for the next generation
 * - `explainRequest`, `explain.ts`
 *
 * A redirect, a direct response, a fault, a preflight and a rate limit are all filters (`filters/`): run
 * `route.filters` in order; the first answer ends the chain. A route without destinations always has a filter that
 * answers. Routing knows their contract (`filters/filter.ts`); the table that makes them is handed in.
 */
import type { VerifiedToken } from './verified-token.ts'
import type {
  DestinationSpec,
  HttpRouteSpec,
  RetrySpec,
  RouteOverridesSpec,
  TcpRouteSpec,
  VirtualHostSpec,
} from '../../../contracts/route-spec.ts'
import type { ConnectionFilter, ReplyFilter, RouteFilter } from '../filters/filter.ts'
import type { HeaderEdits } from './fields.ts'
import type { ConnectionView, RequestView } from './request-view.ts'

export type { Fields, HeaderEdits } from './fields.ts'
export type { ConnectionView, RequestView } from './request-view.ts'

/** Compiled form of a virtual host. */
export interface VirtualHost {
  readonly name: string
  readonly spec: VirtualHostSpec
  /** In order; a rule whose matches rewrite differently has one Route per match, all with the same `id` and filters. */
  readonly routes: readonly Route[]
  readonly tcpRoutes: readonly TcpRoute[]
  /** A raw route looks at the name in the caller's TLS hello. */
  readonly asksServerName: boolean
  /** The matches of all routes, in order. */
  readonly table: RouteTable
  /** Run before a route is chosen: what they learn is matched on. */
  readonly firstFilters: readonly RouteFilter[]
  /** Who may send its calls elsewhere; null = nobody. */
  readonly overrides: RouteOverridesSpec | null
  /** The host's own (`own-host.ts`): its requests are neither counted nor logged. */
  readonly isOwn: boolean
}

/** Finds the first route that matches; see `route-table.ts`. */
export interface RouteTable {
  find(view: RequestView, token?: VerifiedToken | null): Route | undefined
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
  readonly filters: readonly RouteFilter[]
  /** Those of them that change the head of the reply, in the same order. */
  readonly replyFilters: readonly ReplyFilter[]
  readonly requestEdits: HeaderEdits | null
  readonly responseEdits: HeaderEdits | null
  /**
   * New path for the upstream, without query; the query is kept. null = as it came. One Route per match where the match
   * decides (prefix rewrite).
   */
  readonly rewritePath: ((view: RequestView) => string) | null
  /** New Host for the upstream. */
  readonly rewriteAuthority: string | null
  readonly retry: RetryPolicy | null
  readonly mirrors: readonly Mirror[]
}

export interface TcpRoute {
  readonly id: number
  readonly spec: TcpRouteSpec
  /** Run in order before an endpoint is dialled; empty for most routes. */
  readonly filters: readonly RouteFilter<ConnectionFilter>[]
  readonly destinations: readonly Destination[]
  /** Conditions of each match, any match is enough; see `tcp-route.ts`. */
  readonly matches: readonly (readonly TcpCondition[])[]
}

/** One condition of a TCP match, able to say why it failed. */
export interface TcpCondition {
  test(view: ConnectionView): boolean
  describeMiss(view: ConnectionView): string
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
  /** Closed or reset by the endpoint after some of the request was sent and before a response head. */
  readonly onResetBeforeReply: boolean
  /** Closed or reset before any byte of the request was sent. */
  readonly onResetBeforeRequest: boolean
}

export interface Mirror {
  readonly destination: Destination
  readonly share: number
}
