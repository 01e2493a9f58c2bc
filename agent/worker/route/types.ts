/** What the road sees of routing: pure functions over compiled virtual hosts. Nothing here opens a socket, reads a clock or throws. */
import type { ErrorCode } from '../../../contracts/errors.ts'
import type { HashKeySpec } from '../../../contracts/policy-spec.ts'
import type { DestinationSpec, HttpRouteSpec, TcpRouteSpec, VirtualHostSpec } from '../../../contracts/route-spec.ts'
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
  /** Address of the caller. */
  readonly sourceAddress: string
  readonly source: SourceAppSpec | undefined
  /** First value of a field; `name` in lower case. */
  header(name: string): string | undefined
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
  readonly routes: readonly Route[]
  readonly tcpRoutes: readonly TcpRoute[]
}

/** Edits ready to be written: bytes of whole field lines for set and add, lower-case names for remove and for what set replaces. */
export interface HeaderEdits {
  /** `name: value\r\n` lines. */
  readonly lines: Buffer
  /** Fields to leave out of the forwarded head. */
  readonly drop: ReadonlySet<string>
}

export interface Destination {
  readonly spec: DestinationSpec
  /** Key into the worker's cluster table: `service|subset|port`. */
  readonly clusterKey: string
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
}

export interface TcpRoute {
  readonly id: number
  readonly spec: TcpRouteSpec
  readonly destinations: readonly Destination[]
}

/** What a filter may use: time and random are handed in. */
export interface FilterContext {
  readonly view: RequestView
  /** Monotonic ms. */
  readonly now: number
  readonly random: () => number
}

/** `null` = go on. A delay is served once, then the chain goes on behind the filter that asked for it. */
export type FilterVerdict = null | LocalReply | { readonly kind: 'delay'; readonly ms: number }

/** An answer made by us. `headers` are whole field lines, already validated. */
export interface LocalReply {
  readonly kind: 'reply'
  readonly status: number
  /** undefined: this is an answer that a rule asked for (redirect, direct response, preflight), not an error. */
  readonly code: ErrorCode | undefined
  /** Envoy's response flag, `-` for none. */
  readonly flag: string
  readonly headers: string
  readonly body: Buffer
}

export interface Filter {
  readonly name: string
  onRequest(context: FilterContext): FilterVerdict
}

export interface ResponseFilter {
  readonly name: string
  /** Whole field lines to add to the response head, or ''. Depends on the request (CORS) and the status. */
  onResponse(context: FilterContext, status: number): string
  /** Fields to leave out of the upstream's head. */
  readonly drop: ReadonlySet<string>
}

/** Where the hash of a consistent-hash policy comes from is decided by the cluster's policy; this reads it. 0 with `hasHash` false when absent. */
export type HashReader = (spec: HashKeySpec, view: RequestView) => number | undefined
