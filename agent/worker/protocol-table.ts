import { adoptPair, TcpConnection } from './forward/tcp-connection.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { TcpDeps } from './forward/tcp-connection.ts'
import type { OpenExchange } from './forward/streams.ts'
import type { MovedHttp1, MovedHttp2, MovedPair } from './listen/movable.ts'
import type { ProtocolTable } from './listen/protocol-table.ts'
import type { EndpointProtocol } from '../../contracts/protocols.ts'
import type { UpstreamCodec } from './forward/streams.ts'
import { Http1Link } from './protocols/http1/upstream-link.ts'
import type { UpstreamStreams } from './protocols/http1/upstream-streams.ts'
import type { Http2Deps } from './protocols/http2/deps.ts'
import { assumedStreams, Http2Link } from './protocols/http2/upstream-link.ts'
import type { UpstreamStreamDeps } from './protocols/http2/upstream-stream.ts'
import { Http2UpstreamStreams } from './protocols/http2/upstream-streams.ts'
import { Http1Connection } from './protocols/http1/connection.ts'
import type { Http1ConnectionDeps } from './protocols/http1/connection-deps.ts'
import { Http2Connection } from './protocols/http2/connection.ts'
import { readSessionState } from './protocols/http2/session-state.ts'
import type { Http2ConnectionDeps } from './protocols/http2/connection-deps.ts'
import { DownstreamStreams } from './protocols/http2/downstream-streams.ts'
import type { Transport } from './transport/transport.ts'
import type { Accepted } from './listen/accepted.ts'

/** The protocols that this worker speaks with endpoints. */
export function upstreamCodecs(
  http1Streams: UpstreamStreams,
  http2: Http2Deps & UpstreamStreamDeps,
): Readonly<Record<EndpointProtocol, UpstreamCodec>> {
  const http2Streams = new Http2UpstreamStreams(http2)
  return {
    http1: { streamsPerLink: 1, openLink: (transport, home) => new Http1Link(http1Streams, transport, home) },
    http2: {
      streamsPerLink: assumedStreams,
      openLink: (transport, home) => new Http2Link(http2, http2Streams, transport, home),
    },
  }
}

/** The protocols that this worker speaks with its callers. */
export function protocolTable(
  http1Parts: Omit<Http1ConnectionDeps, 'beginHttp2'>,
  http2: Http2ConnectionDeps & { readonly openExchange: OpenExchange },
  tcp: TcpDeps,
): ProtocolTable {
  const http2Streams = new DownstreamStreams(http2, http2.openExchange)
  const beginHttp2 = (accepted: Accepted, transport: Transport, received: Buffer | null): void =>
    new Http2Connection(http2, http2Streams, accepted, transport).open(received)
  const http1: Http1ConnectionDeps = { ...http1Parts, beginHttp2 }
  return {
    http1: {
      sockets: 1,
      begin: (accepted, transport, received) => new Http1Connection(http1, accepted, transport).open(received),
      adopt(accepted, moved, [transport]) {
        const { isDraining, received, served } = moved as MovedHttp1
        const connection = new Http1Connection(http1, accepted, transport!)
        connection.served = served
        if (isDraining === true) connection.drain()
        connection.open(Buffer.from(received, 'base64'))
        return connection
      },
    },
    http2: {
      sockets: 1,
      begin: beginHttp2,
      adopt(accepted, moved, [transport]) {
        const { served, session } = moved as MovedHttp2
        const state = readSessionState(session)
        if (state === null) {
          transport!.release()
          throw new MeshError('E_HANDOFF_REFUSED', 'malformed state of an HTTP/2 connection; it is closed')
        }
        const connection = new Http2Connection(http2, http2Streams, accepted, transport!)
        connection.served = served
        connection.goOn(state)
        return connection
      },
    },
    tcp: {
      sockets: 2,
      begin: (accepted, transport, received) => new TcpConnection(tcp, accepted, transport).open(received),
      adopt: (accepted, moved, [down, up]) => adoptPair(tcp, accepted, moved as MovedPair, down!, up!),
    },
    websocket: {
      sockets: 2,
      begin: null,
      adopt: (accepted, moved, [down, up]) => adoptPair(tcp, accepted, moved as MovedPair, down!, up!),
    },
  }
}
