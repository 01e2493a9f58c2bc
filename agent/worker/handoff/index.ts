/**
 * A worker's side of continuity: listening sockets that outlive it, and live connections that go on in its successor (docs/continuity.md).
 *
 * Order in `main.ts`: `connectWatchdog` → load the snapshot from control → open the probe listener → `ready` → await `permission` → listen on every
 * listener (`takeListeners` first, bind what is missing, `deposit` it) → `serving`. Everything after that comes through the hooks.
 */
import type { DrainCount, ProbeAddress, ShardName } from '../../../contracts/handoff.ts'
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
  /** Named parts of state for the successor: `clusters`, `rateLimits`, `counters`. Called once, at the start of a drain. */
  exportState(): Readonly<Record<string, unknown>>
  /** A part that a predecessor exported. Must tolerate anything. */
  importState(part: string, body: unknown): void
  /** Accept on a dead neighbour's socket until `onUncover`; the descriptor belongs to the worker. */
  onCover(listener: HeldListener): void
  /** Stop accepting on it and close the copy; accepted connections stay. */
  onUncover(shard: ShardName): void
  /** Stop accepting on every listener and close all copies. Accepted connections stay. */
  stopAccepting(): void
  /** Drained or told to stop: nothing is left to do, the process should exit 0. */
  onEnd(counts: readonly DrainCount[]): void
}

export interface WatchdogLink {
  /** False when no watchdog answered at the start and none is expected (`hostmesh agent`): bind everything, `permission` is given at once. */
  readonly isSupervised: boolean
  /** Sockets held for this worker's shards, each call empties the list. With `shard === index` there is nothing to bind for this name. */
  takeListeners(): HeldListener[]
  /** Gives the watchdog a copy of a socket that this worker bound and listens on. Never throws and never waits; without a watchdog it does nothing. */
  deposit(shard: ShardName, descriptor: number): void
  /** The listener left the configuration: the watchdog forgets its copy. */
  withdraw(shard: ShardName): void
  /** Loaded; `probe` is where this worker answers `probeRequest` through its own accept, codec and reply code. */
  ready(probe: ProbeAddress): void
  /** Resolves when this worker may accept. */
  readonly permission: Promise<void>
  /** Accepting on all listeners. */
  serving(listeners: number): void
  /** Closes the sockets of the link; the watchdog sees a dead worker unless it was told to drain. */
  close(): void
}
