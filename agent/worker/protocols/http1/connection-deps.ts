import type { PeerIdentity } from '../../../../contracts/peer-identity.ts'
import type { Accepted } from '../../listen/accepted.ts'
import type { LiveTable } from '../../listen/live-table.ts'
import type { Transport } from '../../transport/transport.ts'
import type { Http1Deps } from './deps.ts'
import type { DownstreamStreams } from './downstream-streams.ts'

/** What the caller's side of the codec needs of its worker. */
export interface Http1ConnectionDeps extends Http1Deps {
  readonly live: LiveTable
  readonly streams: DownstreamStreams
  /** Whose share of the worker's bounds a connection uses. */
  readonly shareOf: (transport: Transport, identity: PeerIdentity) => string
  /** Goes on with a connection that begins with the preface of HTTP/2. Absent: it is refused (505). */
  readonly beginHttp2?: (accepted: Accepted, transport: Transport, received: Buffer) => void
}
