/**
 * Control's side of continuity: whether this generation leads, and what the watchdog knows (docs/continuity.md).
 *
 * Only a leading control registers applications, owns the admin socket and the admin port, and writes the state directory. During an upgrade the new
 * control loads and compiles while the old one still leads; two generations never register or deregister at the same time.
 */
import type { OperatorReply, OperatorRequest, WatchdogState } from '../../../contracts/handoff.ts'

export interface ContinuityDeps {
  readonly runDir: string
  readonly generation: number
  readonly log: (level: 'info' | 'warn' | 'error', message: string, fields?: Readonly<Record<string, unknown>>) => void
  /** This generation leads from now on. Called at most once; at once when there is no watchdog. */
  onLead(): void
  /** A successor leads: keep answering this generation's workers, touch nothing shared. Called at most once. */
  onRetire(): void
  /** Asked to leave: deregister only when `isHostStopping`. Exit 0 when done. */
  onStop(order: { readonly isHostStopping: boolean; readonly deadlineMs: number }): void
}

export interface Continuity {
  readonly isSupervised: boolean
  readonly isLeading: boolean
  /** Snapshot compiled, control socket listening. */
  ready(): void
  /** By name what readiness still waits for; shown by `hostmesh status`. */
  pending(waits: readonly string[]): void
  /** Newest word of the watchdog, for `/generations` and `/fallback`; undefined without a watchdog. */
  state(): WatchdogState | undefined
  /** For admin mutations (reload, rollback, drills). Rejects with E_HANDOFF_TIMEOUT or E_HANDOFF_REFUSED. */
  ask(request: OperatorRequest, timeoutMs: number): Promise<OperatorReply>
  close(): void
}
