import type { PeerIdentity } from '../../../../contracts/peer-identity.ts'
import { Output } from '../output.ts'
import type { Transport, TransportOwner } from '../transport.ts'
import { Engine } from './engine.ts'
import type { EngineOptions } from './engine.ts'
import type { PeerCheck } from './peer-check.ts'
import { TlsTransport } from './tls-transport.ts'
import type { TlsShared } from './tls-shared.ts'
import { TrafficKeys, suiteOf } from './traffic-keys.ts'
import { Alert, ContentType, headerBytes, maxSealedBytes } from './words.ts'

/** How a handshake ended. Exactly one is called, in a turn of its own or with the bytes that ended it. */
export interface HandshakeUser {
  /** Paused. `transport.identity` is who the peer proved to be. */
  onSecure(transport: TlsTransport): void
  /** `reason`: a word for metrics. The socket is closed. */
  onInsecure(reason: string): void
}

/** All bytes of a peer in its handshake: a chain that is longer is none that we trust. */
const maxPeerBytes = 65_536
/** Record of the close_notify that ends the engine's output. */
const closeNotifyBytes = headerBytes + 2 + 1 + 16
const nothing = Buffer.alloc(0)

/**
 * One handshake over `transport`, which is paused, and is closed or handed on at the end. What has been read of it
 * already is `received`.
 */
export class Handshake implements TransportOwner {
  private readonly shared: TlsShared
  private readonly transport: Transport
  private readonly check: PeerCheck
  private readonly role: EngineOptions['role']
  private readonly engine: Engine
  private readonly output = new Output(16_384, 0)
  private user: HandshakeUser | null
  private received: Buffer
  private peerBytes = 0
  /** Client: its last messages, until it is known that the server may have them. */
  private lastFlight: Buffer[] | null = null
  private hasFailed = false

  constructor(
    shared: TlsShared,
    transport: Transport,
    received: Buffer,
    options: EngineOptions,
    check: PeerCheck,
    user: HandshakeUser,
  ) {
    this.shared = shared
    this.transport = transport
    this.received = received
    this.role = options.role
    this.check = check
    this.user = user
    transport.owner = this
    this.engine = new Engine(options, {
      onOutput: (bytes, isLast) => this.send(bytes, isLast),
      onFinished: () => this.finished(),
      onFailed: (code) => this.failed(code),
    })
    transport.resumeReading()
    if (received.length > 0) setImmediate(() => this.feed())
  }

  /** Nothing is called any more; the socket is closed. */
  cancel(): void {
    this.give()
    this.transport.close()
  }

  /** As `cancel`, and it counts as a failure of this name. */
  refuse(reason: string): void {
    const user = this.give()
    this.transport.close()
    user?.onInsecure(reason)
  }

  onBytes(bytes: Buffer, length: number): void {
    this.received = Buffer.concat([this.received, bytes.subarray(0, length)])
    this.feed()
  }

  onEnd(): void {
    this.refuse('peer_ended')
  }

  onDrained(): void {}

  onClosed(reason: string): void {
    this.give()?.onInsecure(reason === 'ETIMEDOUT' ? 'timeout' : 'peer_ended')
  }

  private feed(): void {
    while (this.user !== null && !this.hasFailed && !this.engine.hasPeersFinished) {
      const { received } = this
      if (received.length < headerBytes) break
      const size = received.readUInt16BE(3)
      const isRecord = received[0]! >= ContentType.changeCipherSpec && received[0]! <= ContentType.applicationData
      const end = headerBytes + (isRecord ? size : 0)
      if (isRecord && (size > maxSealedBytes || this.peerBytes + end > maxPeerBytes)) {
        this.refuse('too_large')
        return
      }
      if (received.length < end) break
      this.peerBytes += end
      this.received = received.subarray(end)
      // what is no record at all is the engine's to judge, too: it knows the right alert
      this.engine.take(Buffer.from(received.subarray(0, isRecord ? end : received.length)))
    }
    // the peer may say more than one read at once only when it was told that we are done
    if (this.user !== null && this.engine.hasPeersFinished) this.transport.pauseReading()
  }

  private send(bytes: Buffer, isLast: boolean): void {
    if (isLast) {
      // of a server these are session tickets, which are not given out
      if (this.role === 'client') (this.lastFlight ??= []).push(Buffer.from(bytes))
      return
    }
    this.output.append(bytes)
    this.transport.write(this.output)
  }

  /** In the middle of the engine's work: it goes on in a turn of its own. */
  private finished(): void {
    setImmediate(() => {
      if (this.user === null) return
      const verdict = this.check(this.engine.peer)
      if (verdict.kind === 'refused') this.alert(verdict.alert, verdict.reason)
      else if (this.role === 'server') this.secure(verdict.identity)
      else
        this.engine.finishOutput(() => {
          const flight = Buffer.concat(this.lastFlight ?? [])
          this.output.append(flight.subarray(0, flight.length - closeNotifyBytes))
          this.transport.write(this.output)
          this.secure(verdict.identity)
        })
    })
  }

  private secure(identity: PeerIdentity): void {
    const keys = this.takeKeys()
    if (keys === undefined) {
      this.refuse('internal')
      return
    }
    const { received, role, shared, transport } = this
    const user = this.give()
    transport.pauseReading()
    const held = received.length === 0 ? nothing : Buffer.from(received)
    user?.onSecure(new TlsTransport(shared, transport, { ...keys, role, identity, held }))
  }

  /**
   * The peer's certificate is not good: a server says so with its keys for content, a client with those of the
   * handshake, before it has shown its own certificate.
   */
  private alert(alert: keyof typeof Alert, reason: string): void {
    const { secrets } = this.engine
    const secret = this.role === 'server' ? secrets?.sending : secrets?.handshake
    if (secret !== undefined) {
      const keys = new TrafficKeys(this.shared.ciphers, suiteOf(this.engine.suite), Buffer.from(secret), true)
      const record = Buffer.allocUnsafeSlow(closeNotifyBytes)
      record.set([ContentType.applicationData, 3, 3, 0, closeNotifyBytes - headerBytes])
      this.shared.small.set([2, Alert[alert]])
      keys.cipher.seal(0, this.shared.small, 0, 2, ContentType.alert, record, headerBytes)
      keys.free()
      this.output.append(record)
      this.transport.write(this.output)
    }
    this.refuse(reason)
  }

  private takeKeys(): { sending: TrafficKeys; receiving: TrafficKeys } | undefined {
    const { secrets, suite } = this.engine
    if (secrets === undefined) return undefined
    const { ciphers } = this.shared
    const found = suiteOf(suite)
    return {
      sending: new TrafficKeys(ciphers, found, secrets.sending, true),
      receiving: new TrafficKeys(ciphers, found, secrets.receiving, false),
    }
  }

  private failed(code: string): void {
    if (this.hasFailed || this.user === null) return
    this.hasFailed = true
    // its alert is on the way out in this turn
    setImmediate(() => this.refuse(failureWord(code)))
  }

  /** Ends the engine; the user is told once. */
  private give(): HandshakeUser | null {
    const { user } = this
    this.user = null
    this.engine.end()
    return user
  }
}

const words: Readonly<Record<string, string>> = {
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'protocol_version',
  ERR_SSL_WRONG_VERSION_NUMBER: 'no_tls',
  ERR_SSL_HTTP_REQUEST: 'no_tls',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'no_tls',
  ERR_SSL_NO_SHARED_CIPHER: 'no_shared_cipher',
  ERR_SSL_NO_APPLICATION_PROTOCOL: 'no_application_protocol',
}

/** OpenSSL's words are many; these are few. What the peer said of us is `peer_` and its alert. */
function failureWord(code: string): string {
  const alert = /^ERR_SSL_(?:TLSV1|TLSV13|SSLV3)_ALERT_(\w+)$/.exec(code)
  if (alert !== null) return `peer_${alert[1]!.toLowerCase()}`
  return words[code] ?? 'protocol_error'
}
