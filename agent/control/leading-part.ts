/** What a composition root adds to control: a part that answers others while its generation leads. */
import type { HostReport } from '../../contracts/host-report.ts'
import type { AdapterDeps } from '../../contracts/registry-adapter.ts'
import type { LocalCallers } from '../../guard/local-callers.ts'
import type { AdminPage, AdminReply, AdminRequest, SocketApi } from './admin/http.ts'
import type { AgentConfig } from './config/types.ts'
import type { Control } from './control.ts'
import type { ControlMetrics } from './observe.ts'

export interface LeadingPart {
  /** This generation leads from now on. Rejects when the part cannot work at all, which ends control. */
  open(): Promise<void>
  /** Another generation leads, or the process ends. */
  close(): Promise<void>
  /** Why it does not do what it should; empty = it does. Seen at `/ready`. */
  faults(): readonly string[]
  /** Of the admin interface, beside control's own. */
  readonly pages?: readonly AdminPage[]
  readonly socketApi?: SocketApi
  /** Counters of the hosts that report to it. */
  traffic?(): readonly HostTraffic[]
}

/** What a report says that control does not know by itself. */
export interface ToldBeside extends Pick<HostReport, 'dryRun' | 'nacosFace'> {
  /** Rules about which a center asked: `VirtualService shop/orders`. */
  readonly askedRules?: readonly string[]
}

export type HostTraffic = Pick<HostReport, 'host' | 'bucketsMs' | 'traffic'>

export interface PartDeps<Config extends AgentConfig = AgentConfig> extends AdapterDeps {
  /** Of the start. */
  readonly config: Config
  readonly control: Control
  readonly callers: LocalCallers
  readonly metrics: ControlMetrics
  /** How this host is now, for centers. */
  report(more?: ToldBeside): Promise<HostReport>
  /** What the admin interface answers; whether the asker is an owner is for the caller to say. */
  askAdmin(request: AdminRequest): Promise<AdminReply>
}
