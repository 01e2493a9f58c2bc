import type { CallerAccount } from '../../callers/caller-account.ts'
import type { Accepted } from '../../listen/accepted.ts'
import type { LiveTable } from '../../listen/live-table.ts'
import type { Transport } from '../../transport/transport.ts'
import type { Http2Deps } from './deps.ts'

/** What the caller's side of the codec needs of its worker. */
export interface Http2ConnectionDeps extends Http2Deps {
  readonly live: LiveTable
  /** Whose share of the worker's bounds a connection uses. */
  readonly accountOf: (accepted: Accepted, transport: Transport) => CallerAccount
}
