import type { UnixSockets } from '../../../native/unix-sockets.ts'
import { noIdentity } from '../transport/transport.ts'
import type { Transport } from '../transport/transport.ts'

/** Of a listener: a path in place of an address. */
export function isSocketPath(address: string): boolean {
  return address.startsWith('/')
}

const loopback = '127.0.0.1'

/**
 * What came in by a unix socket has no addresses: it is a caller of this host, whose user the kernel tells with the
 * connection, at no cost of a question for each. Also for one that another process accepted.
 */
export function knowLocalPeer(transport: Transport, sockets: Pick<UnixSockets, 'peerUid'> | undefined): void {
  const uid = sockets?.peerUid(transport.descriptor)
  const identity = uid === undefined ? noIdentity : ({ kind: 'user', uid } as const)
  const peer = { address: loopback, port: 0, localAddress: loopback, localPort: 0, identity }
  transport.peer = () => peer
}
