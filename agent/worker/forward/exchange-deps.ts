import type { MessageMetrics } from '../observe/message-metrics.ts'
import type { RequestMetrics } from '../observe/request-metrics.ts'
import type { Tallies } from '../observe/tallies.ts'
import type { MeshView } from './mesh-view.ts'
import type { Mirrors } from './mirrors.ts'
import type { OutgoingRequestDeps } from './outgoing-request.ts'
import type { ReplyChanges } from './reply-edits.ts'
import type { RequestReports } from './request-reports.ts'
import type { TriesDeps } from './tries.ts'
import type { TunnelDeps } from './tunnel.ts'

/** What an exchange needs of its worker. */
export interface ExchangeDeps extends TriesDeps, TunnelDeps, OutgoingRequestDeps {
  readonly mesh: MeshView
  readonly parked: Parking
  readonly metrics: Pick<RequestMetrics, 'count'>
  readonly messages: Pick<MessageMetrics, 'count'>
  readonly tallies: Tallies
  readonly reports: RequestReports
  readonly mirrors: Mirrors
  readonly replyChanges: ReplyChanges
}

/** Requests that wait for control to say what a name means. */
export interface Parking {
  /** False at the bound: nothing will be called. */
  park(name: string, parked: Parked, caller: string): boolean
  forget(parked: Parked): void
}

export interface Parked {
  isParked: boolean
  /** Control has answered this or another name, or the time is over. */
  unpark(isTimeout: boolean): void
}
