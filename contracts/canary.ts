/**
 * A canary: one worker of a new generation serves beside the old one for a stated time and is compared with it, before
 * the others of its generation are let in (docs/continuity.md).
 */

/** What was counted; sums of several are made by adding. */
export interface Signals {
  /** Answered requests and ended TCP connections; those that a caller gave up are in neither number. */
  readonly requests: number
  /**
   * Of them: status 500 and above, no whole answer, a gRPC status that blames the server, a TCP connection that failed.
   */
  readonly failed: number
  /** Requests by duration, in no order; empty buckets are left out. */
  readonly durations: readonly DurationBucket[]
}

/** Of one worker, since its start. */
export interface GoldenSignals extends Signals {
  /**
   * The same by who calls what, so that like is compared with like: a group is a hash of reporter, calling application
   * and service, the same in all releases; empty groups are left out. Absent from a release that did not tell them.
   */
  readonly groups?: readonly SignalGroup[]
}

/** `group`: 0 to `canaryGroups` - 1. */
export type SignalGroup = readonly [group: number, signals: Signals]

export const canaryGroups = 128

/** Above `fromMs`, up to `toMs` (the same, where there is no bound). */
export type DurationBucket = readonly [fromMs: number, toMs: number, count: number]

/** What an operator allows a canary. */
export interface CanaryOrder {
  /** How long it is compared, ms: 1 s to `maxCanaryMs`. */
  readonly forMs: number
  /** Share of its requests that may fail beyond the share that fails with the others, percent: 0 to 100. */
  readonly maxFailedPercent: number
  /** What its median and 95th percentile may be above those of the others, percent (0 to 10,000), and 5 ms. */
  readonly maxSlowerPercent: number
}

export const maxCanaryMs = 3_600_000

/** One side of the comparison. `p50Ms` and `p95Ms` are estimates from buckets; -1 without requests. */
export interface SignalsSeen {
  readonly requests: number
  readonly failed: number
  readonly p50Ms: number
  readonly p95Ms: number
}

export interface CanaryReport extends CanaryOrder {
  /** `unjudged`: it did not fail, and there were too few requests to compare; the upgrade went on. */
  readonly verdict: 'running' | 'passed' | 'unjudged' | 'failed'
  /** How long it has served, until it was decided, ms. */
  readonly servedMs: number
  /** One sentence: what was seen, or why it was taken back. */
  readonly says: string
  readonly canary: SignalsSeen
  readonly others: SignalsSeen
}
