import { HttpConnection } from './forward/http-connection.ts'
import type { Road } from './forward/road.ts'
import { adoptPair, TcpConnection } from './forward/tcp-connection.ts'
import type { MovedHttp1, MovedPair } from './listen/movable.ts'
import type { ProtocolTable } from './listen/protocol-table.ts'

/** The protocols that this worker speaks with its callers. */
export function protocolTable(road: Road): ProtocolTable {
  return {
    http1: {
      sockets: 1,
      begin: (accepted, transport, received) => new HttpConnection(road, accepted, transport).open(received),
      adopt(accepted, moved, [transport]) {
        const { received, served } = moved as MovedHttp1
        const connection = new HttpConnection(road, accepted, transport!)
        connection.served = served
        connection.open(Buffer.from(received, 'base64'))
        return connection
      },
    },
    tcp: {
      sockets: 2,
      begin: (accepted, transport, received) => new TcpConnection(road, accepted, transport).open(received),
      adopt: (accepted, moved, [down, up]) => adoptPair(road, accepted, moved as MovedPair, down!, up!),
    },
    websocket: {
      sockets: 2,
      begin: null,
      adopt: (accepted, moved, [down, up]) => adoptPair(road, accepted, moved as MovedPair, down!, up!),
    },
  }
}
