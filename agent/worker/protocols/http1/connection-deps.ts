import type { CallerAccount } from '../../callers/caller-account.ts'
import type { Accepted } from '../../listen/accepted.ts'
import type { LiveTable } from '../../listen/live-table.ts'
import type { Spares } from '../../transport/spares.ts'
import type { Transport } from '../../transport/transport.ts'
import type { Http1Deps } from './deps.ts'
import type { Http1DownstreamStream } from './downstream-stream.ts'

/** What the caller's side of the codec needs of its worker. */
export interface Http1ConnectionDeps extends Http1Deps {
  readonly live: LiveTable
  readonly streams: Spares<Http1DownstreamStream>
  /** Whose share of the worker's bounds a connection uses. */
  readonly accountOf: (accepted: Accepted, transport: Transport) => CallerAccount
  /** Goes on with a connection that begins with the preface of HTTP/2. Absent: it is refused (505). */
  readonly beginHttp2: (accepted: Accepted, transport: Transport, received: Buffer) => void
}
