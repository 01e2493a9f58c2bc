/** Private RPC as this worker speaks it, on both sides. Loaded late: see `kinds.ts`. */
import { detected } from '../../contracts/protocols.ts'
import type { RpcProtocol } from '../../contracts/protocols.ts'
import type { RpcDescription } from '../../contracts/rpc-description.ts'
import type { OpenExchange, UpstreamCodec } from './forward/streams.ts'
import type { Accepted } from './listen/accepted.ts'
import type { MovedRpc } from './listen/movable.ts'
import type { Protocol } from './listen/protocol-table.ts'
import { RpcConnection } from './protocols/rpc/connection.ts'
import type { RpcConnectionDeps, RpcDeps } from './protocols/rpc/deps.ts'
import { Detection } from './protocols/rpc/detection.ts'
import { rpcDownstreamStreams } from './protocols/rpc/downstream-stream.ts'
import { streamsPerLink } from './protocols/rpc/limits.ts'
import { rpcParts } from './protocols/rpc/parts.ts'
import { RpcLink } from './protocols/rpc/upstream-link.ts'
import { rpcUpstreamStreams } from './protocols/rpc/upstream-stream.ts'
import type { Transport } from './transport/transport.ts'

export interface RpcKindDeps
  extends
    Pick<RpcConnectionDeps, 'accountOf' | 'live'>,
    Pick<RpcDeps, 'clock' | 'outputs' | 'tallies' | 'warn' | 'wheel'> {
  readonly openExchange: OpenExchange
  /** For a caller of a shared port that turns out to speak it. */
  readonly beginHttp1: (accepted: Accepted, transport: Transport, received: Buffer) => void
}

export interface RpcKind {
  /**
   * What the configuration describes now. Callers whose protocol it describes otherwise end behind the replies that
   * they are owed. Answers the names whose endpoints must be spoken to anew.
   */
  takeDescribed(described: Readonly<Record<string, RpcDescription>>): readonly string[]
  upstream(name: RpcProtocol): UpstreamCodec
  readonly protocol: Protocol
}

export function rpcKind({ beginHttp1, openExchange, ...given }: RpcKindDeps): RpcKind {
  const rpc = { ...given, ...rpcParts(given) }
  const { codecs } = rpc
  const downstreams = rpcDownstreamStreams(rpc, openExchange)
  const upstreams = rpcUpstreamStreams()
  const connection = (name: string, accepted: Accepted, transport: Transport): RpcConnection =>
    new RpcConnection(rpc, downstreams, codecs.of(name), accepted, transport)
  const detect = (accepted: Accepted, transport: Transport, received: Buffer | null): Detection => {
    const detection = new Detection(rpc, codecs.all(), accepted, transport, (codec, bytes) => {
      if (codec === null) beginHttp1(accepted, transport, bytes)
      else connection(codec.name, accepted, transport).open(bytes)
    })
    detection.open(received)
    return detection
  }
  return {
    takeDescribed(described) {
      const changed = codecs.take(described)
      for (const one of given.live.list())
        if (one instanceof RpcConnection && changed.includes(one.codec.name)) one.retire()
      return changed
    },
    upstream: (name) => ({
      streamsPerLink,
      openLink: (transport, home) => new RpcLink(rpc, upstreams, codecs.of(name), transport, home),
      understands: (from): from is null => from === null,
    }),
    protocol: {
      sockets: 1,
      begin(accepted, transport, received) {
        const { protocol } = accepted.listener
        if (protocol === detected) detect(accepted, transport, received)
        else connection(protocol, accepted, transport).open(received)
      },
      adopt(accepted, moved, [transport]) {
        const { codec, received, served } = moved as MovedRpc
        if (codec === detected) return detect(accepted, transport!, Buffer.from(received, 'base64'))
        const adopted = connection(codec, accepted, transport!)
        adopted.served = served
        adopted.open(Buffer.from(received, 'base64'))
        return adopted
      },
    },
  }
}
