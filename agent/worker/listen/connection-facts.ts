import type { Transport } from '../transport/transport.ts'
import type { Accepted } from './accepted.ts'
import type { ConnectionFacts } from './movable.ts'

/** What every accepted connection can tell. */
export function factsOf({ acceptedAt, proxy, source }: Accepted, transport: Transport): ConnectionFacts {
  const peer = transport.peer()
  return {
    address: proxy?.sourceAddress ?? peer.address,
    port: proxy?.sourcePort ?? peer.port,
    startedAt: acceptedAt,
    sourceApp: source?.app,
  }
}
