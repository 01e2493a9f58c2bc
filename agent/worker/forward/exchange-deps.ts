import type { Upstream } from '../connect/upstream.ts'
import type { ParkedNames } from '../mesh/parked-names.ts'
import type { MessageMetrics } from '../observe/message-metrics.ts'
import type { CallerTurnDeps } from './caller-turn.ts'
import type { RequestMetrics } from '../observe/request-metrics.ts'
import type { Tallies } from '../observe/tallies.ts'
import type { ExchangeContext } from './filter-context.ts'
import type { MeshView } from './mesh-view.ts'
import type { Mirrors } from './mirrors.ts'
import type { OutgoingRequestDeps } from './outgoing-request.ts'
import type { ReplyChanges } from './reply-edits.ts'
import type { RequestReports } from './request-reports.ts'
import type { Routing, Stop } from './routing.ts'
import type { TriesDeps } from './tries.ts'
import type { TunnelDeps } from './tunnel.ts'

/** What an exchange needs of its worker. */
export interface ExchangeDeps extends TriesDeps, TunnelDeps, OutgoingRequestDeps, CallerTurnDeps {
  readonly mesh: MeshView
  readonly parked: Pick<ParkedNames, 'park' | 'forget'>
  readonly metrics: Pick<RequestMetrics, 'count'>
  readonly messages: Pick<MessageMetrics, 'count'>
  readonly tallies: Tallies
  readonly reports: RequestReports
  readonly mirrors: Mirrors
  readonly replyChanges: ReplyChanges
  /** Told what became of a request while a dry run is under way. */
  readonly dryRun: { readonly run: RoutingLook | null }
}

/** Looks on: changes nothing of the request and never throws. */
export interface RoutingLook {
  look(routing: Routing, found: Upstream | Stop, context: ExchangeContext): void
}
