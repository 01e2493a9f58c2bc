/**
 * What the data path sees of balancing: one Cluster per destination (service, subset, port), holding the living state
 * of its endpoints. Nothing here opens a socket or reads a clock; time (`now`, monotonic ms) and random are handed in.
 * Nothing here throws.
 */
import type { ClusterDump, EndpointDump } from '../../../contracts/control-link.ts'
import type { Endpoint, EndpointSet, Locality, ServiceKey } from '../../../contracts/endpoint.ts'
import type { ErrorCode } from '../../../contracts/errors.ts'
import type { TrafficPolicySpec } from '../../../contracts/policy-spec.ts'
import type { ShareHolder } from './fair-share.ts'

/** Source of random numbers in 0..1, 1 excluded. */
export type Random = () => number

export interface PickContext {
  /** Monotonic ms. */
  now: number
  random: Random
  /** Unsigned 32 bits for ring hash and maglev; ignored by the others. */
  hash: number
  /** Whether the caller had a hash key at all (a missing header falls back to random). */
  hasHash: boolean
  /** Endpoints of earlier attempts, avoided while another one is usable. */
  tried: EndpointState[] | null
  /** Address that the caller named, for passthrough. */
  original: string
}

/** One endpoint's living state. It survives updates of the set as long as its id stays. */
export interface EndpointState {
  readonly kind: 'endpoint'
  readonly id: string
  readonly address: string
  readonly port: number
  /** Newest record of the registry. */
  endpoint: Endpoint
  activeRequests: number
  /** The connection pool of `connect/`, which owns this slot. */
  pool: object | null
  /** SPIFFE id that its certificate showed to the newest connection; '' = none. */
  serverId: string
  /** True once the endpoint left the set: no new request, pool closes when idle. */
  isGone: boolean
  /** Nobody (registry, active check, outlier detection) speaks against it. */
  readonly isUsable: boolean
}

/** A cluster's dump without what only the pools of `connect/` know: the connections of each endpoint. */
export interface BalanceDump extends Omit<ClusterDump, 'endpoints'> {
  readonly endpoints: readonly Omit<EndpointDump, 'connections' | 'idleConnections'>[]
}

/** Preallocated, so that refusing costs nothing. `flag` is Envoy's response flag for the access log. */
export interface Refusal {
  readonly kind: 'refusal'
  readonly code: ErrorCode
  readonly flag: string
  readonly reason: string
}

/** How an attempt ended, seen from here. */
export const Outcome = {
  /** A whole response head below 500 came. */
  ok: 0,
  /** A response with 5xx (502, 503, 504 are gateway errors by status). */
  serverError: 1,
  connectFailure: 2,
  connectTimeout: 3,
  /** Closed or reset before a response head. */
  reset: 4,
  /** The per-try or request time ran out. */
  timeout: 5,
  /** The reply broke the protocol or was cut short. */
  protocol: 6,
  /** The caller went away or a hedge won: says nothing about the endpoint. */
  cancelled: 7,
} as const
export type Outcome = (typeof Outcome)[keyof typeof Outcome]

/** Live numbers of a cluster, for metrics: gauges, and counters that only grow. One object for the life of the cluster.
 * Others only read it, but for one case: what a worker adopts from its predecessor is added past the limits, and ends
 * like everything else. */
export interface ClusterNumbers {
  activeRequests: number
  /** Of these, requests without a reply head. */
  unansweredRequests: number
  activeAttempts: number
  pendingRequests: number
  connections: number
  activeRetries: number
  /**
   * Endpoints behind this destination (after subset and port), those that may be picked now, and those that outlier
   * detection took out.
   */
  endpoints: number
  usableEndpoints: number
  ejectedEndpoints: number
  /** 1 while unusable endpoints are used too, because too few are usable. */
  panic: number
  /** 0 closed, 1 half-open, 2 open. */
  breakerState: number
  requestOverflows: number
  pendingOverflows: number
  connectionOverflows: number
  retryOverflows: number
  breakerOpenings: number
  breakerRefusals: number
  concurrencyRefusals: number
  /** 0 = there is none. */
  concurrencyLimit: number
  admissionRefusals: number
  callerOverflows: number
  ejections: number
  picksWithoutEndpoint: number
}

/** One endpoint of the service as `explain` shows it. */
export interface Candidate {
  readonly endpoint: string
  readonly usable: boolean
  /** Why it is used or left out, in an operator's words. */
  readonly reason: string
}

export interface Cluster {
  /** Envoy's form: `outbound|8080|v2|public/DEFAULT_GROUP@@orders`, empty parts where there is none. */
  readonly name: string
  readonly service: ServiceKey
  readonly subset: string | undefined
  readonly policy: TrafficPolicySpec
  /** No registry has said anything about the service yet; it is known by rules only. */
  readonly isUnheard: boolean

  /**
   * New endpoints or policy, and where they changed the labels of the subset and this host's own locality; states of
   * surviving endpoints are kept.
   */
  update(
    endpoints: EndpointSet,
    policy: TrafficPolicySpec,
    now: number,
    labels?: Readonly<Record<string, string>>,
    own?: Locality,
  ): void
  /** Called for each endpoint that left, so that its pool can be closed; `pick` knows the new endpoints by then. */
  onGone: ((state: EndpointState) => void) | null

  /**
   * Limits, breaker, and the caller's share. null = admitted, and `release()` must follow exactly once, with the share
   * that the holder then has. `holder`: absent = it is nobody's (a copy).
   */
  admit(now: number, holder?: ShareHolder): Refusal | null
  /** The same for a raw connection or a session of UDP: it is no request that will be answered, but `isAnswered`. */
  admitConnection(now: number, holder: ShareHolder): Refusal | null
  /** Instead of `admit`, for what another process admitted. */
  readmit(now: number, holder: ShareHolder, isAnswered: boolean): void
  /** The head of the reply to an admitted request came, at most once: the adaptive limit does not count it any more. */
  answered(): void
  /** `isAnswered`: `answered` was called, or it is no request. */
  release(share?: string, isAnswered?: boolean): void
  pick(context: PickContext): EndpointState | Refusal

  /**
   * Each attempt on an endpoint: begin, then end exactly once. Latency is to the response head; pass -1 where there was
   * none, and status 0 for a raw connection.
   */
  beginAttempt(state: EndpointState, now: number): void
  endAttempt(state: EndpointState, outcome: Outcome, status: number, latencyMs: number, now: number): void

  /** Retry budget and limit; true must be paired with `endRetry()`. */
  tryRetry(): boolean
  endRetry(): void
  /** Bounds of the pool; true must be paired with the matching end. */
  tryConnection(): boolean
  endConnection(): void
  tryPending(): boolean
  endPending(): void

  /**
   * Due work: un-ejection, success rate, warm-up, breaker. Called about once per 100 ms for clusters in use; a pick
   * does what is overdue itself.
   */
  tick(now: number): void
  /** Result of an active check (`connect/` makes the call). */
  activeCheckResult(state: EndpointState, isGood: boolean, now: number): void
  readonly states: readonly EndpointState[]
  readonly numbers: ClusterNumbers
  /** Those that outlier detection has out, each with why. */
  ejected(): readonly { readonly id: string; readonly reason: string }[]
  /** Every endpoint of the service, also those that subset, port or locality leave out. Changes nothing. */
  candidates(now: number): readonly Candidate[]
  /** That the port of a rule is no endpoint's, in words; undefined = it is, or there is none. */
  readonly portNote: string | undefined

  /** Breaker, ejection, latency: plain data for the next generation. Times inside are relative to `now`. */
  exportState(now: number): unknown
  /** Tolerates anything; what it does not understand is dropped. */
  importState(state: unknown, now: number): void
  dump(now: number): BalanceDump
}
