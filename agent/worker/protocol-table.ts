import { adoptPair, TcpConnection } from './forward/tcp-connection.ts'
import type { TcpDeps } from './forward/tcp-connection.ts'
import type { MovedHttp1, MovedPair } from './listen/movable.ts'
import type { ProtocolTable } from './listen/protocol-table.ts'
import { Http1Connection } from './protocols/http1/connection.ts'
import type { Http1ConnectionDeps } from './protocols/http1/connection-deps.ts'

/** The protocols that this worker speaks with its callers. */
export function protocolTable(http1: Http1ConnectionDeps, tcp: TcpDeps): ProtocolTable {
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
