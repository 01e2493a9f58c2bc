/**
 * The handoff protocol: watchdog with its children, an old worker with its successor, an operator with the watchdog.
 *
 * Carrier: a unix stream socket in the run directory (`contracts/run-directory.ts`, mode 0700), frames of
 * `contracts/frame.ts`, at most `maxHandoffFrameBytes` each; the peer's user id must be ours or root's. Descriptors
 * travel beside it as SCM_RIGHTS on a datagram socket: they are sent first, then announced by a message with the same
 * `batch`, then acknowledged. Whoever sends a descriptor sends a copy and keeps its own until the acknowledgement.
 *
 * Refusal (`refused`) and time-out are ordinary outcomes: the side that asked stays as it was. Unknown message types
 * are ignored, so that neighbouring versions can talk; a different `link` number in the greeting is refused with
 * E_HANDOFF_VERSION.
 */
import type { CanaryOrder, CanaryReport, GoldenSignals } from './canary.ts'
import type { ErrorCode } from './errors.ts'

export const handoffVersion = 1

/** State of connections with pending bytes is the largest thing here: 200 connections with 48 KiB each as base64. */
export const maxHandoffFrameBytes = 16 * 1024 * 1024

/**
 * Longest queue of connections that wait to be accepted; the kernel cuts it to net.core.somaxconn. Every `listen` on a
 * socket sets it anew, also that of a process that was given the socket: all say the same.
 */
export const acceptBacklog = 4096

/** Linux takes 253 descriptors per message (SCM_MAX_FD). */
export const maxDescriptorsPerBatch = 200

/** Of one item: connections that go together. */
export const maxDescriptorsTogether = 2000

/** Unacknowledged batches on one datagram socket; Linux queues `net.unix.max_dgram_qlen` = 10 datagrams. */
export const maxBatchesInFlight = 4

/** Life of a generation. One function of the watchdog owns the transitions. */
export type GenerationPhase =
  /** Processes started, not all have said `ready`. */
  | 'starting'
  /** All are ready; probe requests run through the workers' own listeners before they get real connections. */
  | 'proving'
  /** One worker serves beside the old generation and is compared with it; the others wait. */
  | 'canary'
  /** Told to serve; not all workers have answered `serving`. */
  | 'taking-over'
  | 'serving'
  /** A successor serves; connections are moved, the rest is drained until the deadline. */
  | 'draining'
  | 'gone'
  /** Never served, or was taken back; the cause is in its report. */
  | 'failed'

export type ChildRole = 'worker' | 'control'

/**
 * A copy of one listening socket. `name` is the listener's name in the snapshot; `shard` its place in the SO_REUSEPORT
 * group.
 */
export interface ShardName {
  readonly name: string
  readonly shard: number
  /** Where it listens, so that a holder can tell whether the copy still fits the configuration. */
  readonly address: string
  readonly port: number
}

/** Name of a center's relay listener. */
export const relayListenerName = 'relay'

export interface DescriptorBatch {
  readonly batch: number
  readonly shards: readonly ShardName[]
}

/** Where the watchdog sends probe requests: HTTP/1.1, answered by the worker's own accept, codec and reply code. */
export interface ProbeAddress {
  readonly address: string
  readonly port: number
}

/**
 * The probe request: `GET` of this path with this Host must be answered 200 on the probe address, and on a center's
 * relay listener.
 */
export const probeRequest = { path: '/.hostmesh/probe', host: 'hostmesh.probe' } as const

/** What happened to the connections of a draining worker, or of any worker that stops. */
export interface DrainCount {
  /**
   * `http1`, `tcp`, `websocket`, `pooled`; `arriving` = accepted, its protocol or its upstream not known yet;
   * `unknown` = a process that ended before it could tell, as it was last heard of.
   */
  readonly protocol: string
  /** Listener for downstream connections, service for upstream ones. */
  readonly application: string
  /** Given to the successor alive. */
  readonly moved: number
  /** Ended by their own means before the deadline. */
  readonly drained: number
  /** Closed by us at the deadline. */
  readonly cut: number
}

// ---- watchdog and its children
// -------------------------------------------------------------------------------------------------

export type ChildToWatchdog =
  | {
      readonly type: 'hello'
      readonly link: typeof handoffVersion
      readonly role: ChildRole
      readonly generation: number
      /** Index of a worker; 0 for control. */
      readonly index: number
      readonly pid: number
      /** Shards on which the worker already accepts: empty at first, full when it finds a restarted watchdog. */
      readonly listening: readonly ShardName[]
      /** Set when the child was ready before, so that a restarted watchdog needs no new proof of it. */
      readonly isReady: boolean
      readonly isDraining: boolean
      readonly probe: ProbeAddress | undefined
    }
  /** Descriptors of `shards` are in the watchdog's datagram socket. Answer: `received` or `refused`. */
  | ({ readonly type: 'deposit' } & DescriptorBatch)
  /** These shards are no longer wanted (removed by configuration); the watchdog closes its copies. */
  | { readonly type: 'withdraw'; readonly shards: readonly ShardName[] }
  /** Loaded and able to serve; a worker names its probe address. */
  | { readonly type: 'ready'; readonly probe: ProbeAddress | undefined }
  /** What readiness still waits for, by name; only for people. */
  | { readonly type: 'pending'; readonly waits: readonly string[] }
  /** The worker accepts on all its listeners. */
  | { readonly type: 'serving'; readonly listeners: number }
  /** `shards` of a `handover` arrived (or did not fit and were closed). */
  | { readonly type: 'received'; readonly batch: number }
  | {
      readonly type: 'pong'
      readonly id: number
      /** Longest event-loop delay since the last pong, ms. */
      readonly lagMs: number
      readonly connections: number
      /**
       * Of a worker: connections that carried something since the last ping. Absent from a release that did not count
       * them.
       */
      readonly active?: number
      /** Where the ping asked for it. Absent from a release that does not know canaries. */
      readonly signals?: GoldenSignals
    }
  /** Sent at changes while draining, at most every 500 ms. */
  | { readonly type: 'progress'; readonly left: number; readonly moved: number }
  /** The last word of a draining worker. */
  | { readonly type: 'drained'; readonly counts: readonly DrainCount[]; readonly durationMs: number }

export type WatchdogToChild =
  | {
      readonly type: 'welcome'
      readonly link: typeof handoffVersion
      readonly watchdogPid: number
      /** Workers in this generation; shard s belongs to worker s mod workers. */
      readonly workers: number
      /** Batches of `handover` that follow before anything else. */
      readonly batches: number
      /** Shards that the watchdog lacks and the worker should deposit (after a restart of the watchdog). */
      readonly wanted: readonly ShardName[]
    }
  | { readonly type: 'refused'; readonly code: ErrorCode; readonly message: string }
  /**
   * Descriptors are in the worker's datagram socket: held listeners at the start, or a dead neighbour's shards to
   * cover. Answer: `received`.
   */
  | ({ readonly type: 'handover'; readonly why: 'start' | 'cover' } & DescriptorBatch)
  /** The neighbour is back: stop accepting on its shards. Accepted connections stay. */
  | { readonly type: 'uncover'; readonly shards: readonly ShardName[] }
  /** The watchdog has copies of a `deposit`. */
  | { readonly type: 'received'; readonly batch: number }
  /** Worker: accept from now on. Answer: `serving`. */
  | { readonly type: 'serve' }
  /**
   * Worker: stop accepting, move what can be moved to the successor, drain the rest. Answer: `drained`, then exit 0.
   * To a worker that drains already: what is left goes to this successor from now on; the deadline stays.
   */
  | { readonly type: 'drain'; readonly successor: SuccessorName | undefined; readonly deadlineMs: number }
  /** Control: this generation is the one that registers, owns the admin socket and writes the state directory. */
  | { readonly type: 'lead' }
  /** Control: a successor leads; keep answering the workers of this generation, touch nothing shared. */
  | { readonly type: 'retire' }
  /**
   * `workers`: how busy the serving workers of the receiver's generation said they are, itself among them; only where
   * there are some to compare. `canary`: a worker of the generation that is being tried, which gets its even share of
   * their connections; `wantsSignals` while there is one.
   */
  | {
      readonly type: 'ping'
      readonly id: number
      readonly workers?: readonly WorkerLoad[]
      readonly canary?: WorkerLoad & { readonly generation: number }
      readonly wantsSignals?: boolean
    }
  /** Control: newest state, for `/generations` and `/fallback`; at changes, at most every 500 ms. */
  | { readonly type: 'state'; readonly state: WatchdogState }
  /**
   * Worker: files of the access log are opened anew with the next line. One that does not know it goes on as it was.
   */
  | { readonly type: 'reopen-logs' }
  /** Leave without a successor: drain until the deadline, then exit 0. */
  | { readonly type: 'stop'; readonly deadlineMs: number; readonly isHostStopping: boolean }

export interface WorkerLoad {
  readonly index: number
  /** Connections that carried something between its last two pings. */
  readonly active: number
}

export interface SuccessorName {
  readonly generation: number
  readonly index: number
}

// ---- an old worker and its successor, or two workers of one generation (`runFiles.workerTakeover`)
// ------------------------------

/** One live connection, or a pair of them. */
export interface MovedItem {
  /**
   * What the kernel does not know about it; a shape of the worker core (`agent/worker/listen/movable.ts`). May hold
   * keys of a transport: never logged, never on disk.
   */
  readonly state: unknown
  /** How many descriptors of the batch, and of those sent ahead of it, are its own, in order; 2 for a pair. */
  readonly descriptors: number
}

export type PredecessorToSuccessor =
  | {
      readonly type: 'hello'
      readonly link: typeof handoffVersion
      readonly generation: number
      readonly index: number
      readonly pid: number
      /** It gives some of its connections and goes on serving; nobody waits for it. */
      readonly isNeighbour?: boolean
    }
  /**
   * Breaker, ejection, latency, rate limits, counters: plain data of the worker core, sent once, before the first
   * connection.
   */
  | { readonly type: 'state'; readonly part: string; readonly body: unknown }
  /** The first descriptors of an item that has more than a datagram holds; `connections` follows. Answer: `taken`. */
  | { readonly type: 'ahead'; readonly batch: number }
  /** Descriptors, or the last of them, are in the successor's datagram socket. Answer: `taken`. */
  | { readonly type: 'connections'; readonly batch: number; readonly items: readonly MovedItem[] }
  | { readonly type: 'done' }

export type SuccessorToPredecessor =
  /** `takesAhead`: it knows `ahead`; absent from a release that does not. */
  | { readonly type: 'welcome'; readonly link: typeof handoffVersion; readonly takesAhead?: boolean }
  | { readonly type: 'refused'; readonly code: ErrorCode; readonly message: string }
  /**
   * Sent before the first byte of any of them is read. `refused` holds positions in `items` that the predecessor keeps.
   */
  | { readonly type: 'taken'; readonly batch: number; readonly refused: readonly number[] }

/** Longest time that a drill takes the centers away, ms. */
export const maxCenterCutMs = 600_000

// ---- an operator and the watchdog
// ----------------------------------------------------------------------------------------------

/**
 * What to start: kept per generation, so that a rollback starts exactly what ran before. Command lines are absolute,
 * without generation and index.
 */
export interface Release {
  /** Directory or version, for people. */
  readonly name: string
  readonly control: readonly string[]
  readonly worker: readonly string[]
  readonly workers: number
}

export type OperatorRequest =
  | { readonly type: 'operator'; readonly link: typeof handoffVersion }
  | { readonly type: 'status' }
  /**
   * New generation of the running release. Answer: `outcome` when the old one has handed over or the new one has
   * failed.
   */
  | { readonly type: 'reload'; readonly wait: 'serving' | 'gone' }
  | { readonly type: 'upgrade'; readonly release: Release; readonly wait: 'serving' | 'gone' }
  /**
   * An upgrade with one worker first. A request of its own, so that a watchdog that does not know it refuses instead of
   * leaving the canary out.
   */
  | {
      readonly type: 'canary'
      readonly release: Release
      readonly order: CanaryOrder
      readonly wait: 'serving' | 'gone'
    }
  /**
   * While a canary is tried: it is taken back. Else a new generation of the release that ran before the present one.
   */
  | { readonly type: 'rollback'; readonly wait: 'serving' | 'gone' }
  /** Drain and end everything, then the watchdog. */
  | { readonly type: 'stop'; readonly deadlineMs: number }
  /**
   * For drills: for so long, ms (at most `maxCenterCutMs`, 0 ends it), the relay behaves as if no center answered.
   */
  | { readonly type: 'cut-centers'; readonly forMs: number }
  /** For drills: the signal goes to one of our own children, never elsewhere. */
  | {
      readonly type: 'signal'
      readonly target: { readonly role: ChildRole | 'watchdog' | 'generation'; readonly index: number }
      readonly signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT' | 'SIGTERM'
    }

export type OperatorReply =
  | { readonly type: 'welcome'; readonly link: typeof handoffVersion }
  | { readonly type: 'refused'; readonly code: ErrorCode; readonly message: string }
  | { readonly type: 'state'; readonly state: WatchdogState }
  | { readonly type: 'outcome'; readonly report: RestartReport }
  | { readonly type: 'done' }

// ---- what people see
// ------------------------------------------------------------------------------------------------------------

export interface ChildState {
  readonly role: ChildRole
  readonly index: number
  readonly pid: number
  readonly isReady: boolean
  readonly isServing: boolean
  readonly restarts: number
  readonly rssBytes: number
  readonly lagMs: number
  readonly connections: number
}

export interface GenerationState {
  readonly generation: number
  readonly phase: GenerationPhase
  readonly release: string
  /** Epoch ms. */
  readonly startedAt: number
  readonly children: readonly ChildState[]
  readonly waits: readonly string[]
  /** While it is a canary: how it does. */
  readonly canary?: CanaryReport
}

export interface RelayState {
  /** Which path new connections take now: `agent` = the workers'. */
  readonly tier: 'agent' | 'center' | 'direct'
  readonly isRelaying: boolean
  readonly since: number
  /** The newest changes of the path, oldest first, at most 20; absent from a release that did not keep them. */
  readonly turns?: readonly { readonly at: number; readonly tier: 'agent' | 'center' | 'direct' }[]
  /** Age of the relay targets, ms; -1 = there are none. */
  readonly targetsAgeMs: number
  readonly targetsProblem: string | undefined
  readonly centers: readonly { readonly address: string; readonly isUsable: boolean; readonly failures: number }[]
  /** Connections relayed since the start of the watchdog. */
  readonly connections: {
    readonly center: number
    readonly direct: number
    readonly failed: number
    readonly shed: number
    /** Malformed requests, answered by the relay itself. */
    readonly refused: number
    /** Requests that a center delivered to nobody and that went on to another address. */
    readonly passedOver: number
  }
  readonly active: number
  /** Per listener: where its next connection would go if the generation died now. */
  readonly listeners: Readonly<Record<string, 'center' | 'direct' | 'none'>>
  /**
   * Nacos clients while no control answers them; absent = this host has no face, or no center that could stand for it.
   */
  readonly nacosFace?: FaceRelayState | undefined
}

export interface FaceRelayState {
  readonly isRelaying: boolean
  /** Connections of clients that a center has now. */
  readonly active: number
  /** Since the start of the watchdog. */
  readonly carried: number
  readonly refused: number
  /** Why the last connection could not be carried; absent = it could. */
  readonly problem: string | undefined
}

export interface WatchdogState {
  readonly pid: number
  readonly startedAt: number
  readonly isAdopted: boolean
  /** `on` when descriptors can be passed; otherwise why not. */
  readonly handover: string
  readonly generations: readonly GenerationState[]
  readonly heldShards: number
  readonly relay: RelayState
  /** Newest first, at most 20. */
  readonly reports: readonly RestartReport[]
}

/**
 * One hot restart, upgrade, rollback or replacement after a failure; also a JSON file in the state directory
 * (`stateFiles.reports`).
 */
export interface RestartReport {
  readonly id: string
  readonly kind: 'start' | 'reload' | 'upgrade' | 'rollback' | 'recovery' | 'adoption'
  readonly from: number | undefined
  readonly to: number
  readonly release: string
  readonly outcome: 'done' | 'failed' | 'refused' | 'rolled-back'
  /** For a failure: what was seen, with the last lines of the process. Never a secret. */
  readonly cause: string | undefined
  readonly evidence: readonly string[]
  /** Epoch ms. */
  readonly startedAt: number
  /** ms from the start: all ready, proven, serving, old one gone. */
  readonly readyMs: number | undefined
  readonly provenMs: number | undefined
  readonly servingMs: number | undefined
  readonly goneMs: number | undefined
  readonly counts: readonly DrainCount[]
  /** Of an upgrade that had a canary. */
  readonly canary?: CanaryReport
}
