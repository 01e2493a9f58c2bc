import { adoptPair, TcpConnection } from './forward/tcp-connection.ts'
import { MeshError } from '../../contracts/errors.ts'
import type { TcpDeps } from './forward/tcp-connection.ts'
import type { OpenExchange } from './forward/streams.ts'
import type { MovedHttp1, MovedHttp2, MovedPair, MovedRpc } from './listen/movable.ts'
import type { ProtocolTable } from './listen/protocol-table.ts'
import { detected } from '../../contracts/protocols.ts'
import type { EndpointProtocol, RpcProtocol } from '../../contracts/protocols.ts'
import type { UpstreamCodec } from './forward/streams.ts'
import { Http1Link } from './protocols/http1/upstream-link.ts'
import type { Http1UpstreamStream } from './protocols/http1/upstream-stream.ts'
import type { Http2Deps } from './protocols/http2/deps.ts'
import { assumedStreams, Http2Link, readLinkState } from './protocols/http2/upstream-link.ts'
import { http2UpstreamStreams } from './protocols/http2/upstream-stream.ts'
import type { UpstreamStreamDeps } from './protocols/http2/upstream-stream.ts'
import { Http1Connection } from './protocols/http1/connection.ts'
import type { Http1ConnectionDeps } from './protocols/http1/connection-deps.ts'
import { Http2Connection } from './protocols/http2/connection.ts'
import { readSessionState } from './protocols/http2/session-state.ts'
import type { Http2ConnectionDeps } from './protocols/http2/connection-deps.ts'
import { http2DownstreamStreams } from './protocols/http2/downstream-stream.ts'
import type { RpcCodecs } from './protocols/rpc/codecs.ts'
import { RpcConnection } from './protocols/rpc/connection.ts'
import { Detection } from './protocols/rpc/detection.ts'
import type { RpcConnectionDeps, RpcDeps } from './protocols/rpc/deps.ts'
import { rpcDownstreamStreams } from './protocols/rpc/downstream-stream.ts'
import { streamsPerLink } from './protocols/rpc/limits.ts'
import { RpcLink } from './protocols/rpc/upstream-link.ts'
import { rpcUpstreamStreams } from './protocols/rpc/upstream-stream.ts'
import type { Spares } from './transport/spares.ts'
import type { Transport } from './transport/transport.ts'
import type { Accepted } from './listen/accepted.ts'

const noBytes = Buffer.alloc(0)
const isNothing = (from: unknown): from is null => from === null

/** The protocols that this worker speaks with endpoints. */
export function upstreamCodecs(
  http1Streams: Spares<Http1UpstreamStream>,
  http2: Http2Deps & UpstreamStreamDeps,
  rpc: RpcDeps,
  rpcCodecs: RpcCodecs,
): { of(protocol: EndpointProtocol): UpstreamCodec } {
  const http2Streams = http2UpstreamStreams(http2)
  const rpcStreams = rpcUpstreamStreams()
  const http1Codec: UpstreamCodec = {
    streamsPerLink: 1,
    openLink: (transport, home) => new Http1Link(http1Streams, transport, home),
    understands: isNothing,
  }
  const http2Codec: UpstreamCodec = {
    streamsPerLink: assumedStreams,
    openLink(transport, home, from) {
      const state = from === null ? null : readLinkState(from)
      const link = new Http2Link(http2, http2Streams, transport, home, state)
      if (state !== null) link.session.start(state.session.received, noBytes)
      return link
    },
    understands: (from): from is object => readLinkState(from) !== null,
  }
  const rpcCodec = (name: RpcProtocol): UpstreamCodec => ({
    streamsPerLink,
    openLink: (transport, home) => new RpcLink(rpc, rpcStreams, rpcCodecs.of(name), transport, home),
    understands: isNothing,
  })
  const made = new Map<RpcProtocol, UpstreamCodec>()
  return {
    of(protocol) {
      if (protocol === 'http1') return http1Codec
      if (protocol === 'http2') return http2Codec
      const codec = made.get(protocol) ?? rpcCodec(protocol)
      made.set(protocol, codec)
      return codec
    },
  }
}

/** The protocols that this worker speaks with its callers. */
export function protocolTable(
  http1Parts: Omit<Http1ConnectionDeps, 'beginHttp2'>,
  http2: Http2ConnectionDeps & { readonly openExchange: OpenExchange },
  rpc: RpcConnectionDeps & { readonly openExchange: OpenExchange; readonly codecs: RpcCodecs },
  tcp: TcpDeps,
): ProtocolTable {
  const rpcStreams = rpcDownstreamStreams(rpc, rpc.openExchange)
  const rpcConnection = (name: string, accepted: Accepted, transport: Transport): RpcConnection =>
    new RpcConnection(rpc, rpcStreams, rpc.codecs.of(name), accepted, transport)
  const http2Streams = http2DownstreamStreams(http2, http2.openExchange)
  const beginHttp2 = (accepted: Accepted, transport: Transport, received: Buffer | null): void =>
    new Http2Connection(http2, http2Streams, accepted, transport).open(received)
  const http1: Http1ConnectionDeps = { ...http1Parts, beginHttp2 }
  const detect = (accepted: Accepted, transport: Transport, received: Buffer | null): void =>
    new Detection(rpc, rpc.codecs.all(), accepted, transport, (codec, bytes) => {
      if (codec === null) new Http1Connection(http1, accepted, transport).open(bytes)
      else rpcConnection(codec.name, accepted, transport).open(bytes)
    }).open(received)
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
        connection.restore(state, served, 0)
        connection.session.start(state.received, noBytes)
        return connection
      },
    },
    rpc: {
      sockets: 1,
      begin(accepted, transport, received) {
        const { protocol } = accepted.listener
        if (protocol === detected) detect(accepted, transport, received)
        else rpcConnection(protocol, accepted, transport).open(received)
      },
      adopt(accepted, moved, [transport]) {
        const { codec, received, served } = moved as MovedRpc
        const connection = rpcConnection(codec, accepted, transport!)
        connection.served = served
        connection.open(Buffer.from(received, 'base64'))
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
