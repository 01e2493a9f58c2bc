/**
 * Control and worker, over control's stream socket in the run directory (frames of `contracts/frame.ts`). The worker
 * dials, says hello, gets the whole snapshot (a large one in slices), then deltas. Control may die: the worker carries
 * on with what it has and dials again with back-off; the new control sends the whole snapshot.
 */
import type { DryRunQuestion } from './dry-run.ts'
import type { WorkerTrouble } from './events.ts'
import type {
  CloseConnectionsQuestion,
  CloseStreamsQuestion,
  ConnectionsQuestion,
  StreamsQuestion,
  TapQuestion,
} from './live-view.ts'
import type { Snapshot, SnapshotDelta } from './snapshot.ts'
import type { ClientCredential, WorkloadCertificates } from './workload-certificate.ts'

export const controlLinkVersion = 1

export type WorkerToControl =
  | {
      readonly type: 'hello'
      readonly link: typeof controlLinkVersion
      readonly generation: number
      readonly index: number
      readonly pid: number
      /** Version of the snapshot that the worker has, 0 = none. */
      readonly snapshotVersion: number
      /** How its sockets are served, and why so. */
      readonly transport?: WorkerTransport
    }
  /** The worker runs with this version; `listeners` holds only the ones that are not bound. */
  | {
      readonly type: 'applied'
      readonly version: number
      readonly problems: readonly ListenerProblem[]
      /** Nothing is bound yet: the watchdog has not given its permission. A `listeners` message follows. */
      readonly isWaiting?: true
    }
  /**
   * What is bound has changed without a new version: the permission to listen came, or what had failed was tried again.
   */
  | { readonly type: 'listeners'; readonly problems: readonly ListenerProblem[] }
  /** The worker could not use the snapshot or delta and keeps what it had. */
  | { readonly type: 'refused'; readonly version: number; readonly code: string; readonly message: string }
  /** A caller named services that the snapshot does not know; the answer comes as `names` in a delta. */
  | { readonly type: 'need'; readonly names: readonly string[] }
  /** Services used since the last message, so that control keeps them subscribed. Sent at most every 10 s. */
  | { readonly type: 'used'; readonly services: readonly string[] }
  /**
   * An application of this host (`address:port`) refused a connection: nobody listens there. At most once a second for
   * each.
   */
  | { readonly type: 'refused-application'; readonly application: string }
  /** All that is wrong now, at changes and after each hello; at most `maxWorkerTroubles`. */
  | { readonly type: 'troubles'; readonly troubles: readonly WorkerTrouble[] }
  | { readonly type: 'reply'; readonly id: number; readonly body: unknown }
  | { readonly type: 'failed'; readonly id: number; readonly code: string; readonly message: string }

export interface WorkerTransport {
  /** `epoll`, `raw`, `public`. */
  readonly kind: string
  readonly reason: string
}

export interface ListenerProblem {
  readonly listener: string
  readonly code: string
  /** Names the owner where the system tells it. */
  readonly message: string
}

/** Records of a whole snapshot. */
export type SnapshotSlice = Pick<Snapshot, 'services' | 'virtualHosts' | 'names'>

export type ControlToWorker =
  /**
   * Records of the `snapshot` that follows, which holds the rest. Until then they mean nothing; no `delta` comes in
   * between.
   */
  | { readonly type: 'slice'; readonly slice: SnapshotSlice }
  | { readonly type: 'snapshot'; readonly snapshot: Snapshot }
  /** The whole set, before the first snapshot and whenever it changed. Never logged: it holds keys. */
  | {
      readonly type: 'certificates'
      readonly certificates: WorkloadCertificates
      /** Absent from older controls. */
      readonly credentials?: readonly ClientCredential[]
    }
  | { readonly type: 'delta'; readonly delta: SnapshotDelta }
  | { readonly type: 'ask'; readonly id: number; readonly question: WorkerQuestion }

export type WorkerQuestion =
  /** Answer: StatsDump. */
  | { readonly kind: 'stats' }
  /** Answer: ClusterDump[]: endpoints with health, ejection, requests, latency, pool. */
  | { readonly kind: 'clusters' }
  /** Answer: ListenerDump[]. */
  | { readonly kind: 'listeners' }
  /** Answer: ExplainAnswer. Same code as the data path; changes nothing. */
  | { readonly kind: 'explain'; readonly request: ExplainRequest }
  /** Answer: UserFilterDump[]. */
  | { readonly kind: 'filters' }
  | { readonly kind: 'log-level'; readonly level: string }
  | { readonly kind: 'reset-counters' }
  | { readonly kind: 'drain-listeners'; readonly inboundOnly: boolean }
  /** Listens again where a drain ended it. */
  | { readonly kind: 'undrain-listeners' }
  | { readonly kind: 'reopen-logs' }
  | DryRunQuestion
  /** Answer: TapAnswer. */
  | TapQuestion
  /** Answer: ConnectionsAnswer. */
  | ConnectionsQuestion
  /** Answer: ConnectionsAnswer, of those that were told to end. */
  | CloseConnectionsQuestion
  /** Answer: StreamsAnswer. */
  | StreamsQuestion
  /** Answer: StreamsAnswer, of those that were ended. */
  | CloseStreamsQuestion

/**
 * One worker's numbers, names and labels as Prometheus wants them. Counters grow from the start of the worker or from
 * what its predecessor handed over.
 */
export interface StatsDump {
  /** Epoch ms: with its pid it tells the worker from every other one. */
  readonly startedAt: number
  readonly series: readonly StatSeries[]
}

export interface StatSeries {
  readonly name: string
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labelNames: readonly string[]
  readonly samples: readonly StatSample[]
  /** Upper bounds of the buckets of a histogram, ascending, without +Inf. */
  readonly buckets?: readonly number[]
  /** Of a gauge that several workers have: the highest of their values; absent = their sum. */
  readonly combine?: 'max'
}

export interface StatSample {
  readonly labels: readonly string[]
  readonly value: number
  /** Histogram only: count per bucket (not cumulative), the last one is +Inf; `value` is then the sum. */
  readonly counts?: readonly number[]
}

export interface ExplainRequest {
  /** Listener name or port; undefined = the shared HTTP port. */
  readonly listener: string | undefined
  readonly method: string
  /** Path with query. */
  readonly path: string
  readonly host: string
  /** In their order; a name may come more than once. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly sourceApp: string | undefined
  /** Who the peer is by its certificate: a SPIFFE id. Absent = it has none. */
  readonly principal?: string
  /** Absent = 127.0.0.1. */
  readonly sourceAddress?: string
}

export interface ExplainAnswer {
  readonly listener: string
  readonly name: string | undefined
  readonly virtualHost: string | undefined
  readonly steps: readonly ExplainStep[]
  /** The rule that matched, or why none did. */
  readonly outcome: string
  /** Of the route that matched, in the order in which they run, each with what it would do to this request. */
  readonly filters: readonly { readonly filter: string; readonly does: string }[]
  readonly destinations: readonly ExplainDestination[]
}

export interface ExplainStep {
  readonly rule: string
  readonly origin: string
  readonly matched: boolean
  /** For a miss: the first condition that failed, found against wanted. */
  readonly reason: string
}

export interface ExplainDestination {
  readonly service: string
  readonly subset: string | undefined
  readonly share: number
  readonly candidates: readonly { readonly endpoint: string; readonly usable: boolean; readonly reason: string }[]
  /** Something about it that is good to know; absent = nothing. */
  readonly note?: string
  readonly policy: readonly { readonly path: string; readonly value: string; readonly origin: string }[]
}

export interface ClusterDump {
  readonly name: string
  readonly service: string
  readonly subset: string | undefined
  readonly endpoints: readonly EndpointDump[]
  readonly activeRequests: number
  readonly pendingRequests: number
  readonly connections: number
  readonly breaker: 'closed' | 'open' | 'half-open' | 'off'
  /** Requests in hand by caller, of those that were counted by caller (`docs/overload.md`). */
  readonly callers: readonly { readonly caller: string; readonly requests: number }[]
}

export interface EndpointDump {
  readonly endpoint: string
  readonly weight: number
  readonly healthy: boolean
  /** `healthy`, `unhealthy`, `disabled`, `weight 0`, `ejected until …`, `failed active check`. */
  readonly state: string
  readonly activeRequests: number
  readonly connections: number
  readonly idleConnections: number
  readonly requests: number
  readonly failures: number
  readonly latencyMs: number
  readonly version: string
  readonly zone: string
}

export interface ListenerDump {
  readonly name: string
  readonly address: string
  readonly port: number
  readonly kind: string
  readonly state: 'listening' | 'failed'
  readonly problem: string | undefined
  readonly connections: number
}
