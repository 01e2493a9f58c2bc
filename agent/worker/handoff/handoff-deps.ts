/** What the worker gives to `handoff/`. */
import type { GoldenSignals } from '../../../contracts/canary.ts'
import type { DrainCount, ShardName } from '../../../contracts/handoff.ts'
import type { LiveConnections } from '../listen/movable.ts'

/** A listening socket that the watchdog held for us. The descriptor belongs to the worker: listen on it or close it. */
export interface HeldListener extends ShardName {
  readonly descriptor: number
}

export interface HandoffDeps {
  readonly runDir: string
  readonly generation: number
  readonly index: number
  /** Monotonic ms. */
  readonly now: () => number
  readonly log: (level: 'info' | 'warn' | 'error', message: string, fields?: Readonly<Record<string, unknown>>) => void
  readonly connections: LiveConnections
  /** For a report: listener or service behind a connection's name; the listener's name when unknown. */
  readonly applicationOf?: (listener: string) => string
  /**
   * Named parts of state for the successor: `clusters`, `rateLimits`, `counters`. Called once, at the start of a drain.
   */
  exportState(): Readonly<Record<string, unknown>>
  /** Parts that have grown since: what was counted while the rest drained. Called once, at the end. */
  exportRest(): Readonly<Record<string, unknown>>
  /** A part that a predecessor exported. Must tolerate anything. */
  importState(part: string, body: unknown): void
  /** How many connections went to workers of the same generation and came from them; grows. */
  readonly balanced: BalanceCounts
  /** Accept on a dead neighbour's socket until `onUncover`; the descriptor belongs to the worker. */
  onCover(listener: HeldListener): void
  /** Stop accepting on it and close the copy; accepted connections stay. */
  onUncover(shard: ShardName): void
  /** Stop accepting on every listener and close all copies. Accepted connections stay. */
  stopAccepting(): void
  /** While draining: what was on its way to others has arrived there or is back. */
  onSettled?(): void
  /** Asked for while a canary is tried. */
  signals(): GoldenSignals
  /** The next line of the access log goes to a file opened anew. */
  reopenLogs?(): void
  /** Drained or told to stop: nothing is left to do, the process should exit 0. */
  onEnd(counts: readonly DrainCount[]): void
}

export interface BalanceCounts {
  givenConnections: number
  takenConnections: number
}
