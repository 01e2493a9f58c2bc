/** What the pages look at. They own no state. */
import type { HostTraffic } from '../leading-part.ts'
import type { WatchdogLink } from '../handoff/watchdog-link.ts'
import type { AdminPage, SocketApi } from './http.ts'
import type { ControlMetrics } from '../observe.ts'
import type { ListenerDrain } from './listener-drain.ts'
import type { RunningFault } from './running-fault.ts'
import type { StatsMerger } from './stats.ts'
import type { CollectorView } from '../telemetry/sender.ts'
import type { AdminView } from './view.ts'

/** What one page looks at. */
export type PageView<Keys extends keyof AdminContext> = Pick<AdminContext, Keys>

export interface AdminContext {
  readonly control: AdminView
  readonly metrics: ControlMetrics
  readonly stats: StatsMerger
  /** What a drill has asked for. */
  readonly fault: Pick<RunningFault, 'take'>
  /** undefined until the watchdog was asked for. */
  readonly watchdog: () => WatchdogLink | undefined
  readonly version: string
  /** Counters of other hosts that report to this node. */
  readonly reportedTraffic: () => readonly HostTraffic[]
  /** Of what a composition root adds to control. */
  readonly morePages: readonly AdminPage[]
  readonly socketApis: readonly SocketApi[]
  /** Monotonic ms of the start. */
  readonly startedAt: number
  /** Faults of parts that are not control's own: the admin port, the face. */
  readonly faults: () => readonly string[]
  /** Where spans and log records go. */
  readonly collectors: () => readonly CollectorView[]
  readonly logLevel: { get(): string; set(level: string): void }
  /** The operator took the host out of readiness. */
  readonly drainSwitch: { isFailed: boolean }
  /** The operator took listeners out of service. */
  readonly drain: ListenerDrain
  /** Leave, as for SIGTERM. */
  quit(): void
}
