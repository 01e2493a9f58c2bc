import { LogPause } from '../../../contracts/log-pause.ts'
import type { Transport } from '../transport/transport.ts'
import type { Movable } from './movable.ts'

/** Whether an accepted connection is this caller's; a kind that does not tell its transport is nobody's. */
export function isOf(
  connection: Movable & { readonly transport?: Transport },
  caller: string,
  callerOf: (transport: Transport) => string,
): boolean {
  return connection.transport !== undefined && callerOf(connection.transport) === caller
}

export interface CallerSharesDeps {
  readonly log: (level: 'info' | 'warn' | 'error', message: string) => void
  /** Monotonic ms. */
  readonly now: () => number
}

/**
 * How many of a worker's connections each caller (a user of this host, or an address) holds of those that came while
 * more than half of the places were taken: who calls is asked only then, since it costs a question to the kernel. One
 * caller gets a quarter of all places of these, so it never has more than three quarters, and others get in.
 */
export class CallerShares {
  private readonly deps: CallerSharesDeps
  private readonly counts = new Map<string, number>()
  private readonly pause = new LogPause()

  constructor(deps: CallerSharesDeps) {
    this.deps = deps
  }

  isCrowded(connections: number, bound: number): boolean {
    return connections * 2 >= bound
  }

  isUsedUp(caller: string, bound: number): boolean {
    return (this.counts.get(caller) ?? 0) >= Math.max(1, Math.floor(bound / 4))
  }

  /** To be paired with `leave`. */
  enter(caller: string): void {
    this.counts.set(caller, (this.counts.get(caller) ?? 0) + 1)
  }

  leave(caller: string): void {
    const count = this.counts.get(caller) ?? 0
    if (count <= 1) this.counts.delete(caller)
    else this.counts.set(caller, count - 1)
  }

  /** Says that a connection was closed because of this, not too often. */
  report(caller: string, connections: number, bound: number): void {
    if (!this.pause.allows(this.deps.now())) return
    this.deps.log(
      'warn',
      `${caller} has its share of the ${bound} connections of this worker (${connections} are open); more of its are closed (limits.maxConnections)`,
    )
  }
}
