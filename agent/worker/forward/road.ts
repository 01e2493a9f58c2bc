import type { Dialer } from '../connect/dialer.ts'
import type { LiveTable } from '../listen/live-table.ts'
import type { MeshState } from '../link/mesh-state.ts'
import type { ParkedNames } from '../link/parked-names.ts'
import type { AccessLog } from '../observe/access-log.ts'
import type { Tallies } from '../observe/tallies.ts'
import type { RequestMetrics } from '../observe/request-metrics.ts'
import type { TcpMetrics } from '../observe/tcp-metrics.ts'
import type { StringCache } from '../../../http1/string-cache.ts'
import type { BulkMover } from '../transport/bulk-flow.ts'
import type { Clock } from '../transport/clock.ts'
import type { Output } from '../transport/output.ts'
import type { TimerWheel } from '../transport/timer-wheel.ts'
import type { AttemptStore } from './attempt-store.ts'
import type { ExchangeStore } from './exchange-store.ts'
import type { Mirrors } from './mirror.ts'
import type { ForwardedHeads } from './forwarded-heads.ts'

/** What every connection and exchange of a worker shares; made once by the composition root, handed in, never imported as a global. */
export interface Road {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly output: Output
  readonly bulk: BulkMover
  readonly random: () => number
  readonly strings: StringCache
  readonly state: MeshState
  readonly parked: ParkedNames
  readonly dialer: Dialer
  readonly live: LiveTable
  readonly metrics: RequestMetrics
  readonly tcpMetrics: TcpMetrics
  readonly tallies: Tallies
  readonly accessLog: AccessLog
  readonly exchanges: ExchangeStore
  readonly attempts: AttemptStore
  /** Made anew when the node's name or tier changes. */
  heads: ForwardedHeads
  readonly mirrors: Mirrors
}
