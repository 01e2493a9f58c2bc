import { describeError } from '../../contracts/errors.ts'
import type { EndpointProtocol, RpcProtocol } from '../../contracts/protocols.ts'
import { adoptPair, TcpConnection } from './forward/tcp-connection.ts'
import type { TcpDeps } from './forward/tcp-connection.ts'
import type { UpstreamCodec } from './forward/streams.ts'
import type { Kinds } from './kinds.ts'
import type { Accepted } from './listen/accepted.ts'
import type { Cohorts } from './listen/cohorts.ts'
import type { MovedHttp1, MovedPair } from './listen/movable.ts'
import type { Protocol, ProtocolTable } from './listen/protocol-table.ts'
import { Http1Connection } from './protocols/http1/connection.ts'
import type { Http1ConnectionDeps } from './protocols/http1/connection-deps.ts'
import { Http1Link } from './protocols/http1/upstream-link.ts'
import type { Http1UpstreamStream } from './protocols/http1/upstream-stream.ts'
import type { Spares } from './transport/spares.ts'
import type { Transport } from './transport/transport.ts'

/** The protocols that this worker speaks with endpoints. */
export function upstreamCodecs(
  http1Streams: Spares<Http1UpstreamStream>,
  kinds: Kinds,
): { of(protocol: EndpointProtocol): UpstreamCodec } {
  const http1Codec: UpstreamCodec = {
    streamsPerLink: 1,
    openLink: (transport, home) => new Http1Link(http1Streams, transport, home),
    understands: (from): from is null => from === null,
  }
  const made = new Map<RpcProtocol, UpstreamCodec>()
  return {
    of(protocol) {
      if (protocol === 'http1') return http1Codec
      if (protocol === 'http2') return kinds.http2.upstream
      const codec = made.get(protocol) ?? kinds.rpc.upstream(protocol)
      made.set(protocol, codec)
      return codec
    },
  }
}

/** The protocols that this worker speaks with its callers. */
export function protocolTable(
  http1Parts: Omit<Http1ConnectionDeps, 'beginHttp2'>,
  kinds: Kinds,
  tcp: TcpDeps,
  warn: (message: string) => void,
): ProtocolTable {
  const http2 = loadedLate(() => kinds.http2.protocol, warn)
  const http1: Http1ConnectionDeps = { ...http1Parts, beginHttp2: http2.begin }
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
    http2,
    rpc: loadedLate(() => kinds.rpc.protocol, warn),
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

/** The requests of HTTP/2 that leave with their connections: none before it is spoken. */
export function cohortsOf(kinds: Kinds): Cohorts {
  return {
    list: () => kinds.http2IfLoaded?.cohorts.list() ?? [],
    adopt: (moved, accepted, transports) =>
      orReleased(() => kinds.http2.cohorts, transports).adopt(moved, accepted, transports),
  }
}

/** A connection whose protocol cannot be loaded is closed, and the worker goes on. */
function loadedLate(load: () => Protocol, warn: (message: string) => void) {
  return {
    sockets: 1,
    begin(accepted: Accepted, transport: Transport, received: Buffer | null) {
      let protocol: Protocol
      try {
        protocol = load()
      } catch (error) {
        warn(`${accepted.listener.name}: a connection is closed: ${describeError(error)}`)
        transport.close()
        accepted.onEnd()
        return
      }
      protocol.begin!(accepted, transport, received)
    },
    adopt: (accepted, moved, transports) => orReleased(load, transports).adopt(accepted, moved, transports),
  } satisfies Protocol
}

function orReleased<T>(load: () => T, transports: readonly Transport[]): T {
  try {
    return load()
  } catch (error) {
    for (const transport of transports) transport.release()
    throw error
  }
}
