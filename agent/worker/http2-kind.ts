/** HTTP/2 as this worker speaks it, on both sides. Loaded late: see `kinds.ts`. */
import { MeshError } from '../../contracts/errors.ts'
import { http2Cohorts } from './cohorts.ts'
import type { Upstream } from './connect/upstream.ts'
import type { OpenExchange, UpstreamCodec } from './forward/streams.ts'
import type { Cohorts } from './listen/cohorts.ts'
import type { MovedHttp2 } from './listen/movable.ts'
import type { Protocol } from './listen/protocol-table.ts'
import { Http2Connection } from './protocols/http2/connection.ts'
import type { Http2ConnectionDeps } from './protocols/http2/connection-deps.ts'
import type { Http2Deps, Http2Settings } from './protocols/http2/deps.ts'
import { http2DownstreamStreams } from './protocols/http2/downstream-stream.ts'
import { http2Parts } from './protocols/http2/parts.ts'
import { readSessionState } from './protocols/http2/session-state.ts'
import { assumedStreams, Http2Link, readLinkState } from './protocols/http2/upstream-link.ts'
import { http2UpstreamStreams } from './protocols/http2/upstream-stream.ts'

export interface Http2KindDeps
  extends
    Pick<Http2ConnectionDeps, 'accountOf' | 'live'>,
    Pick<Http2Deps, 'clock' | 'debug' | 'outputs' | 'tallies' | 'wheel'> {
  readonly openExchange: OpenExchange
  readonly mesh: { upstream(clusterKey: string): Upstream | undefined }
}

export interface Http2Kind {
  readonly settings: Http2Settings
  readonly upstream: UpstreamCodec
  readonly protocol: Protocol
  readonly cohorts: Cohorts
}

const noBytes = Buffer.alloc(0)

export function http2Kind({ mesh, openExchange, ...given }: Http2KindDeps): Http2Kind {
  const http2 = { ...given, ...http2Parts(given) }
  const downstreams = http2DownstreamStreams(http2, openExchange)
  const upstreams = http2UpstreamStreams(http2)
  return {
    settings: http2.settings,
    upstream: {
      streamsPerLink: assumedStreams,
      openLink(transport, home, from) {
        const state = from === null ? null : readLinkState(from)
        const link = new Http2Link(http2, upstreams, transport, home, state)
        if (state !== null) link.session.start(state.session.received, noBytes)
        return link
      },
      understands: (from): from is object => readLinkState(from) !== null,
    },
    protocol: {
      sockets: 1,
      begin: (accepted, transport, received) =>
        new Http2Connection(http2, downstreams, accepted, transport).open(received),
      adopt(accepted, moved, [transport]) {
        const { served, session } = moved as MovedHttp2
        const state = readSessionState(session)
        if (state === null) {
          transport!.release()
          throw new MeshError('E_HANDOFF_REFUSED', 'malformed state of an HTTP/2 connection; it is closed')
        }
        const connection = new Http2Connection(http2, downstreams, accepted, transport!)
        connection.restore(state, served, 0)
        connection.session.start(state.received, noBytes)
        return connection
      },
    },
    cohorts: http2Cohorts({ ...http2, downstreams, upstreams }, mesh),
  }
}
