/**
 * The contract of filters: what stands between the route of a request or a raw connection and its destination. A filter
 * decides and answers; it sends nothing, knows no wire, and is handed time and random. Filters of a route are made once
 * per change of its rules (`table.ts`) and asked for every request, so `onRequest` keeps nothing of a request unless it
 * makes it wait.
 */
import type { AuthenticationSpec } from '../../../contracts/authentication-spec.ts'
import type { AuthorizationSpec } from '../../../contracts/authorization-spec.ts'
import type { PeerIdentity } from '../../../contracts/peer-identity.ts'
import type { HttpRouteSpec, TcpRouteSpec } from '../../../contracts/route-spec.ts'
import type { HeaderEdits } from '../route/fields.ts'
import type { ConnectionView, RequestView } from '../route/request-view.ts'
import type { ErrorCode } from '../../../contracts/errors.ts'
import type { Answer, ContentChange, ReplyHead, TakenContent } from './answer.ts'
import type { VerifiedToken } from '../route/verified-token.ts'

/** Of a request that waits so much is kept. */
export const maxReadContent = 65_536

/** What a filter may use. One object per exchange, filled anew: not to be kept. */
export interface FilterContext {
  /** The request, with the address of its caller and the calling application (`view.source`). */
  readonly view: RequestView
  /** The same as filters before have edited it: by it fields are judged, which the caller could write otherwise. */
  readonly edited: RequestView
  /** Who is at the other end of the caller's connection. */
  readonly peer: PeerIdentity
  /** Monotonic ms. */
  readonly now: number
  readonly random: () => number
  /** Of the caller's user, as a filter before found it good; null = none. */
  token: VerifiedToken | null
  /** What filters keep of this request until it is over; null = nothing. */
  kept: KeptByFilter[] | null
  /** What the caller gets in place of the reply, which a filter does not let pass; null = it passes. */
  refusedReply: Answer | null
  /** Content of the reply passes through `change`, behind those of filters before. */
  changeReply(change: ContentChange): void
  /** Whether content of its replies may be changed: in private RPC it is part of a frame. */
  readonly mayChangeReply: boolean
  /** A filter before changes it: what was announced of its length does not hold. */
  readonly isReplyChanged: boolean
  /** Of the request, as announced; -1 = not said before. */
  readonly contentLength: number
  /**
   * For a filter that makes the request wait: its content is told once, in a later turn, when it is whole or more than
   * `most` bytes have come, of which `most` are told. At most `maxReadContent`.
   */
  readContent(most: number, told: (content: TakenContent) => void): { cancel(): void }
  /** The request is refused where more content was announced, or as soon as more has come. */
  limitContent(most: number): void
  /** For the access log, whatever becomes of the request. */
  note(text: string): void
  /** The fields of the request, names in lower case, as filters before have edited them. */
  eachField(visit: (name: string, value: string) => void): void
  /**
   * What becomes of the head on its way to endpoints and copies. Edits of one filter stand behind those of the filter
   * before it, those of the route and its destination behind all. The same edits should be the same object, so that a
   * codec writes them once.
   */
  editRequest(edits: HeaderEdits): void
  /** What becomes of the head of the reply, an endpoint's or ours, in front of what filters with `onReply` do to it. */
  editReply(edits: HeaderEdits): void
}

/** What a filter knows of one request beyond a call of it. */
export interface KeptByFilter {
  /** Whose it is. */
  readonly owner: object
  /** The exchange is over: its context belongs to another request from now on. */
  over(): void
}

/** What a filter of a raw connection may use. */
export interface ConnectionContext {
  readonly view: ConnectionView
  readonly peer: PeerIdentity
  /** Monotonic ms. */
  readonly now: number
  readonly random: () => number
  /** For the access log, whatever becomes of the connection. */
  readonly note: (text: string) => void
}

/** `null` = go on with the next filter. */
export type FilterVerdict = null | Answer | Wait

/**
 * The request waits, then the chain goes on behind the filter that asked for it, once. The time of the route and of the
 * request does not run meanwhile.
 */
export interface Wait {
  readonly kind: 'wait'
  /** At most, above 0. */
  readonly ms: number
  /** Envoy's response flag of a request that waited, `-` for none. */
  readonly flag: string
  /** For a wait that somebody ends; null: it ends with its time. */
  readonly call: WaitCall | null
}

export interface WaitCall {
  /** The request waits: whoever is asked answers `waiter`, once, at any time until `cancel`. */
  begin(waiter: Waiter): void
  /** Its time is over or its caller is gone: `waiter` belongs to another request from now on. */
  cancel(waiter: Waiter): void
  /** What becomes of the request when the time is over: null = it goes on. */
  readonly late: Answer | null
}

export interface Waiter {
  /** null = it goes on behind the filter. */
  resume(verdict: Answer | null): void
  /** What it waited for is there, and it waits for something else: at most `ms` from now. */
  waitOn(ms: number): void
}

/** The caller gets a reset; log and metrics get the flag. */
export interface ConnectionRefusal {
  readonly kind: 'answer'
  /** Envoy's response flag. */
  readonly flag: string
  readonly code?: ErrorCode
  /** Why, for the access log. */
  readonly details?: string
}

export interface ConnectionFilter {
  /** Its kind in the table, which metrics and `explain` show. */
  readonly kind: string
  /** Once, before an endpoint is dialled; null = go on with the next filter. */
  onConnection(context: ConnectionContext): ConnectionRefusal | null
  /** What it would do to this connection of this peer, in words. Changes nothing. */
  explainConnection(view: ConnectionView, peer: PeerIdentity): string
}

export interface Filter {
  /** Its kind in the table, which metrics and `explain` show. */
  readonly kind: string
  onRequest(context: FilterContext): FilterVerdict
  /**
   * What becomes of the head of a final reply, null for nothing. The same edits are the same object, so that a codec
   * writes them once.
   */
  onReply?(context: FilterContext, head: ReplyHead): HeaderEdits | null
  /** What it would do to this request of this peer, in words. Changes nothing. */
  explain(view: RequestView, peer: PeerIdentity): string
}

/** A filter with a say on replies. */
export type ReplyFilter = Filter & Required<Pick<Filter, 'onReply'>>

/** A filter that remembers something over requests, which a restart of the worker must not lose. */
export interface StatefulFilter {
  readonly kind: string
  /** The same in every generation; unique in a worker. */
  readonly stateId: string
  /** Plain data, safe as JSON. */
  exportState(now: number): unknown
  /** Tolerates anything; what it does not understand is dropped. */
  importState(state: unknown, now: number): void
}

export function hasReply(filter: Filter): filter is ReplyFilter {
  return filter.onReply !== undefined
}

export function isStateful<F extends object>(filter: F): filter is F & StatefulFilter {
  return 'stateId' in filter
}

/** A filter at its place in a route, with where its verdicts are counted. */
export interface RouteFilter<F = Filter> {
  readonly filter: F
  /** Three numbers from `at` on: went on, answered, made wait (`Verdict`). */
  readonly verdicts: Float64Array
  readonly at: number
}

/** Offsets of verdicts from `RouteFilter.at`. */
export const Verdict = { continue: 0, answer: 1, wait: 2 } as const

/** Asks a filter and counts what it says. */
export function ask({ at, filter, verdicts }: RouteFilter, context: FilterContext): FilterVerdict {
  const verdict = filter.onRequest(context)
  const offset = verdict === null ? Verdict.continue : verdict.kind === 'answer' ? Verdict.answer : Verdict.wait
  verdicts[at + offset]! += 1
  return verdict
}

/** The same for a raw connection. */
export function askAboutConnection(
  { at, filter, verdicts }: RouteFilter<ConnectionFilter>,
  context: ConnectionContext,
): ConnectionRefusal | null {
  const refusal = filter.onConnection(context)
  verdicts[at + (refusal === null ? Verdict.continue : Verdict.answer)]! += 1
  return refusal
}

/**
 * Makes the filters of routes, in the order in which control put them. Throws E_SNAPSHOT_CORRUPT for an unknown kind.
 */
export interface FilterTable {
  filtersOf(route: HttpRouteSpec, place: RoutePlace): readonly RouteFilter[]
  /** Of a virtual host, before a route of it is chosen: what verifies tokens. */
  firstFiltersOf(place: RoutePlace): readonly RouteFilter[]
  connectionFiltersOf(route: TcpRouteSpec, place: RoutePlace): readonly RouteFilter<ConnectionFilter>[]
}

/** Where a route stands, for its filters. */
export interface RoutePlace {
  /** Name of the virtual host. */
  readonly host: string
  /** The rules of the virtual host about tokens, where routes of it read some. */
  readonly authentication: AuthenticationSpec | undefined
  /** The policies of the virtual host, where routes of it are to be authorized. */
  readonly authorization: AuthorizationSpec | undefined
  /** What the route does to replies, for filters that answer themselves. */
  readonly responseEdits: HeaderEdits | null
  /** Monotonic ms. */
  readonly now: number
  /** This worker's part of every local rate limit: 1 / number of workers. */
  readonly limitShare: number
  /** False for the host's own probe. */
  readonly isCounted: boolean
  /** Filters with a state of the virtual host that this one replaces, by state id: they go on. */
  readonly former: ReadonlyMap<string, StatefulFilter>
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
