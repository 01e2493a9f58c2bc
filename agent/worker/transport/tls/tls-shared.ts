import type { PeerIdentity } from '../../../../contracts/peer-identity.ts'
import { Output } from '../output.ts'
import type { RecordCiphers } from './record-cipher.ts'
import type { MovedKeys, TrafficKeys } from './traffic-keys.ts'
import { headerBytes, maxSealedBytes } from './words.ts'
import type { AlertName } from './words.ts'

export type TlsRole = 'server' | 'client'

/** What operators are told of connections whose handshake is over. */
export interface TlsEvents {
  /** The peer broke the protocol: it got this alert, and the connection is closed. */
  onFault(role: TlsRole, alert: AlertName): void
  /** The peer ended the connection with this alert. */
  onPeerAlert(role: TlsRole, code: number): void
  /** The connection ended without close_notify: what came of it may be incomplete. */
  onTruncated(role: TlsRole): void
}

/** What all TLS connections of a worker share: their buffers are used within one event. */
export class TlsShared {
  readonly ciphers: RecordCiphers
  readonly events: TlsEvents
  /** Sealed records on their way out. */
  readonly records = new Output()
  /** Opened content of one read. */
  readonly opened = Buffer.allocUnsafeSlow(128 * 1024)
  /** A record that came in pieces. */
  readonly joined = Buffer.allocUnsafeSlow(headerBytes + maxSealedBytes)
  /** Content of alerts and of messages of our own. */
  readonly small = Buffer.allocUnsafeSlow(16)

  constructor(ciphers: RecordCiphers, events: TlsEvents) {
    this.ciphers = ciphers
    this.events = events
  }
}

/** How a connection stands when its handshake is over, or as it came from another process. */
export interface TlsStart {
  readonly role: TlsRole
  readonly sending: TrafficKeys
  readonly receiving: TrafficKeys
  readonly identity: PeerIdentity
  /** Read and not opened. */
  readonly held: Buffer
}

/** A connection between two processes of one host. Bytes are base64. */
export interface TlsState {
  /** Another one is refused, and the connection stays where it is. */
  readonly version: 1
  readonly suite: string
  readonly role: TlsRole
  readonly sending: MovedKeys
  readonly receiving: MovedKeys
  readonly identity: PeerIdentity
  /** Read and not opened: a part of a record. */
  readonly held: string
  /** A part of a handshake message. */
  readonly message: string
  readonly owesUpdate: boolean
  /** Sealed and not in the kernel's send buffer. */
  readonly unsent: string
  readonly hasEnd: boolean
  readonly hasToldEnd: boolean
  readonly hasSentEnd: boolean
}
