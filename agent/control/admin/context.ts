/** What the pages look at. They own no state. */
import type { WatchdogLink } from '../handoff/watchdog-link.ts'
import type { CuttableRegistry } from '../core/registries/cuttable.ts'
import type { ControlMetrics } from '../observe.ts'
import type { ListenerDrain } from './listener-drain.ts'
import type { StatsMerger } from './stats.ts'
import type { AdminView } from './view.ts'

export interface AdminContext {
  readonly control: AdminView
  readonly metrics: ControlMetrics
  readonly stats: StatsMerger
  readonly registries: readonly CuttableRegistry[]
  /** undefined until the watchdog was asked for. */
  readonly watchdog: () => WatchdogLink | undefined
  readonly version: string
  /** Monotonic ms of the start. */
  readonly startedAt: number
  /** Faults of parts that are not control's own: the admin port, the face. */
  readonly faults: () => readonly string[]
  readonly logLevel: { get(): string; set(level: string): void }
  /** The operator took the host out of readiness. */
  readonly drainSwitch: { isFailed: boolean }
  /** The operator took listeners out of service. */
  readonly drain: ListenerDrain
  /** Leave, as for SIGTERM. */
  quit(): void
}
