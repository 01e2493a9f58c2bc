/**
 * The effective traffic policy of a destination (service, or service and subset, or a port of it), after control merged
 * DestinationRule, MeshPolicy and defaults. Plain data. Durations are milliseconds, shares 0..1. `defaultTrafficPolicy`
 * is the one place of defaults.
 */
import type { RuleOrigin } from './route-spec.ts'

export type LoadBalancerSpec =
  | { readonly kind: 'round-robin' }
  | { readonly kind: 'random' }
  | { readonly kind: 'least-request'; readonly choices: number }
  /** Latency-aware: peak EWMA with this decay time. */
  | { readonly kind: 'peak-ewma'; readonly decayMs: number }
  /** The address that the caller named, if it is an endpoint of the service. */
  | { readonly kind: 'passthrough' }
  | {
      readonly kind: 'ring-hash'
      readonly key: HashKeySpec
      readonly minimumRingSize: number
    }
  | { readonly kind: 'maglev'; readonly key: HashKeySpec; readonly tableSize: number }

export type HashKeySpec =
  | { readonly from: 'header'; readonly name: string }
  | { readonly from: 'cookie'; readonly name: string; readonly path: string; readonly ttlMs: number | undefined }
  | { readonly from: 'source-address' }
  | { readonly from: 'query'; readonly name: string }

export interface LocalitySpec {
  readonly enabled: boolean
  /**
   * Own locality `region/zone` (or with `*`) to shares in 0..1 over localities; only one of distribute and failover.
   */
  readonly distribute?: readonly { readonly from: string; readonly to: Readonly<Record<string, number>> }[]
  readonly failover?: readonly { readonly from: string; readonly to: string }[]
}

export interface ConnectionPoolSpec {
  readonly maxConnections: number
  readonly connectTimeoutMs: number
  /** Requests waiting for a connection. */
  readonly maxPending: number
  readonly maxRequests: number
  /** 0 = no bound. */
  readonly maxRequestsPerConnection: number
  /** Of one connection in HTTP/2, beside the endpoint's own bound. 0 = no other. */
  readonly maxConcurrentStreams: number
  /** Endpoints of an `http` service are spoken to in HTTP/2 (Istio's h2UpgradePolicy). */
  readonly upgradesToHttp2: boolean
  /** Retries in flight at the same time. */
  readonly maxRetries: number
  readonly idleTimeoutMs: number
  /** 0 = no bound. */
  readonly maxConnectionAgeMs: number
  readonly tcpKeepalive?: { readonly timeMs: number; readonly intervalMs: number; readonly probes: number }
  /** TCP_USER_TIMEOUT; 0 = the system's. */
  readonly tcpUserTimeoutMs: number
  /** Idle time of a TCP (not HTTP) connection pair; 0 = none. */
  readonly tcpIdleTimeoutMs: number
}

export interface OutlierSpec {
  /** 0 switches a detector off. */
  readonly consecutive5xx: number
  readonly consecutiveGatewayErrors: number
  readonly consecutiveLocalFailures: number
  readonly splitLocalErrors: boolean
  readonly intervalMs: number
  readonly baseEjectionMs: number
  readonly maxEjectionMs: number
  readonly maxEjectionShare: number
  /** Below this healthy share outlier detection stands aside (Istio: minHealthPercent). */
  readonly minHealthShare: number
  readonly successRate?: { readonly minimumHosts: number; readonly requestVolume: number; readonly stdevFactor: number }
}

/** Three states: closed, open, half-open with a single trial. Off unless a MeshPolicy asks for it. */
export interface BreakerSpec {
  /** Opens when this share of at least `minimumRequests` in the window failed. */
  readonly failureShare: number
  readonly minimumRequests: number
  readonly windowMs: number
  readonly openMs: number
}

/** Adaptive concurrency by the gradient of latency, as Envoy's. Off unless a MeshPolicy asks for it. */
export interface ConcurrencySpec {
  /** Of the latencies of a window, 0..1. */
  readonly percentile: number
  readonly minLimit: number
  readonly maxLimit: number
  readonly updateIntervalMs: number
  /** The lowest latency is measured anew this often. */
  readonly minRttIntervalMs: number
  /** Share of the lowest latency that is no sign of a queue yet. */
  readonly buffer: number
}

/** Refusals by the success rate of a window (Envoy's admission control). Off unless a MeshPolicy asks for it. */
export interface AdmissionControlSpec {
  readonly successShare: number
  readonly aggression: number
  readonly minimumRequests: number
  readonly windowMs: number
  readonly maxRejectionShare: number
}

/** What one calling application may have of a destination, in each worker. */
export interface CallerLimitSpec {
  /** Name of an application, `user UID`, an address, a SPIFFE id, or `*` for every caller that no other entry names. */
  readonly caller: string
  /** 0 = none of its own: fair shares alone. */
  readonly maxRequests: number
  /** Of its claim where places become few. */
  readonly weight: number
}

export interface RetryBudgetSpec {
  /** Retries as a share of active requests. */
  readonly share: number
  readonly minimumConcurrency: number
}

export interface ActiveCheckSpec {
  readonly kind: 'tcp' | 'http' | 'grpc'
  readonly path: string
  /** Which service of the endpoint is asked for (`grpc`); '' or absent = all of it. */
  readonly service?: string
  readonly intervalMs: number
  readonly timeoutMs: number
  readonly healthyThreshold: number
  readonly unhealthyThreshold: number
}

/** What may serve when the local agent cannot (MeshPolicy). */
export interface FallbackSpec {
  readonly center: boolean
  readonly direct: boolean
}

/**
 * TLS towards endpoints (Istio's ClientTLSSettings). Absent = automatic: mutual TLS to endpoints that say they take it,
 * where this host has an identity; else plain.
 */
export type UpstreamTlsSpec =
  | { readonly mode: 'disable' }
  /** `mutual`: both ends have SPIFFE ids of the host's trust bundle. `simple`: the endpoint alone proves who it is. */
  | {
      readonly mode: 'mutual' | 'simple'
      /** SNI; '' = none. */
      readonly sni: string
      /** SPIFFE ids (a `*` at the end is any), for `simple` DNS names too; empty = any, or `sni` for `simple`. */
      readonly subjectAltNames: readonly string[]
      /**
       * Of `simple`: roots that the endpoint is checked against, and what is shown to it (Istio's MUTUAL), by name;
       * absent = the roots of the system, and nothing.
       */
      readonly credential?: string
      /** Without a certificate in it there is no connection (MUTUAL). */
      readonly showsCredential?: boolean
    }

export interface TrafficPolicySpec {
  readonly loadBalancer: LoadBalancerSpec
  readonly locality: LocalitySpec
  /** 0 = no slow start. */
  readonly warmupMs: number
  readonly pool: ConnectionPoolSpec
  readonly outlier: OutlierSpec | undefined
  readonly breaker: BreakerSpec | undefined
  readonly concurrency?: ConcurrencySpec | undefined
  readonly admissionControl?: AdmissionControlSpec | undefined
  readonly callers?: readonly CallerLimitSpec[]
  readonly retryBudget: RetryBudgetSpec | undefined
  readonly activeCheck: ActiveCheckSpec | undefined
  /** Below this share of usable endpoints all are used (Envoy: 0.5). 0 switches panic mode off. */
  readonly panicShare: number
  readonly proxyProtocol: 'off' | 'v1' | 'v2'
  readonly tls?: UpstreamTlsSpec | undefined
  readonly fallback: FallbackSpec
  /** Path of a value inside this object to where it came from; a missing path is a default. */
  readonly origins: Readonly<Record<string, RuleOrigin>>
}

/**
 * Sources: Envoy's circuit breaker thresholds (1,024 / 1,024 / 1,024 / 3), outlier and panic defaults; Istio's connect
 * timeout of 10 s is cut to 1 s for a data centre.
 */
export const defaultTrafficPolicy: TrafficPolicySpec = {
  loadBalancer: { kind: 'least-request', choices: 2 },
  locality: { enabled: true },
  warmupMs: 0,
  pool: {
    maxConnections: 1024,
    connectTimeoutMs: 1000,
    maxPending: 1024,
    maxRequests: 1024,
    maxRequestsPerConnection: 0,
    maxConcurrentStreams: 0,
    upgradesToHttp2: false,
    maxRetries: 3,
    idleTimeoutMs: 60_000,
    maxConnectionAgeMs: 0,
    tcpUserTimeoutMs: 20_000,
    tcpIdleTimeoutMs: 3_600_000,
  },
  outlier: undefined,
  breaker: undefined,
  retryBudget: { share: 0.2, minimumConcurrency: 3 },
  activeCheck: undefined,
  panicShare: 0.5,
  proxyProtocol: 'off',
  fallback: { center: true, direct: true },
  origins: {},
}
