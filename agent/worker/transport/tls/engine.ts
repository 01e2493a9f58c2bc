/**
 * The handshake of one connection by the OpenSSL of Node (`node:tls` over a stream that is fed by hand), up to the
 * traffic secrets, which come from the key log. It is given one record at a time, so that nothing behind the peer's
 * Finished gets into it: from there on every byte is the record layer's.
 */
import { isIP } from 'node:net'
import { Duplex } from 'node:stream'
import { connect, TLSSocket } from 'node:tls'
import type { SecureContext } from 'node:tls'

import { rawTlsProtocols } from '../../../../contracts/words.ts'
import type { TlsRole } from './tls-shared.ts'

export interface EngineOptions {
  readonly role: TlsRole
  readonly context: SecureContext
  /** Server: whether the peer is asked for a certificate. */
  readonly asksCertificate: boolean
  /** Client: offered; server: chosen from, the first of them that the peer offers; none = not spoken of. */
  readonly protocols: readonly string[]
  /** Client: SNI; '' = none. */
  readonly serverName: string
}

export interface EngineHooks {
  /** To the peer; `isLast`: behind the peer's Finished. */
  onOutput(bytes: Buffer, isLast: boolean): void
  /** Both sides have finished; `secrets` is complete. */
  onFinished(): void
  /** `code`: OpenSSL's word for the reason, `ERR_SSL_…`. An alert was given to `onOutput` where one is due. */
  onFailed(code: string): void
}

export interface EngineSecrets {
  readonly sending: Buffer
  readonly receiving: Buffer
  /** Client: of its own messages in the handshake. */
  readonly handshake: Buffer | undefined
}

/** The peer's certificate, judged. */
export interface EnginePeer {
  /** '' = good; else OpenSSL's word, `CERT_HAS_EXPIRED`; `none` where the peer gave no certificate. */
  readonly problem: string
  readonly subjectAltName: string | undefined
  /** By DNS names alone. */
  isFor(name: string): boolean
}

const labels = {
  server: { sending: 'SERVER_TRAFFIC_SECRET_0', receiving: 'CLIENT_TRAFFIC_SECRET_0' },
  client: { sending: 'CLIENT_TRAFFIC_SECRET_0', receiving: 'SERVER_TRAFFIC_SECRET_0' },
} as const
const rawProtocols: readonly string[] = rawTlsProtocols
const clientHandshake = 'CLIENT_HANDSHAKE_TRAFFIC_SECRET'

/** What `node:tls` has of a server's end and does not declare. */
interface Verified {
  readonly _handle: { verifyError(): (Error & { code?: string }) | null } | null
}

export class Engine {
  private readonly socket: TLSSocket
  private readonly link: EngineSocket
  private readonly role: TlsRole
  private readonly hooks: EngineHooks
  private readonly found = new Map<string, Buffer>()
  private isEnded = false

  constructor(options: EngineOptions, hooks: EngineHooks) {
    const { context, protocols, role, serverName } = options
    this.role = role
    this.hooks = hooks
    this.link = new EngineSocket((bytes) => {
      if (!this.isEnded) hooks.onOutput(bytes, this.hasPeersFinished)
    })
    this.socket =
      role === 'server'
        ? new TLSSocket(this.link, {
            isServer: true,
            secureContext: context,
            requestCert: options.asksCertificate,
            rejectUnauthorized: false,
            ...(protocols.length === 0 ? {} : { ALPNCallback: chooseFrom(protocols) }),
          })
        : connect({
            socket: this.link,
            secureContext: context,
            rejectUnauthorized: false,
            checkServerIdentity: () => undefined,
            ...(protocols.length === 0 ? {} : { ALPNProtocols: [...protocols] }),
            // an address is no name there (RFC 6066, 3): Node throws
            ...(serverName === '' || isIP(serverName) !== 0 ? {} : { servername: serverName }),
          })
    this.socket.on('keylog', (line) => this.keep(line))
    this.socket.once(role === 'server' ? 'secure' : 'secureConnect', () => {
      if (!this.isEnded) this.hooks.onFinished()
    })
    this.socket.on('error', (error: NodeJS.ErrnoException) => this.failed(error.code ?? 'ERR_SSL'))
    this.socket.on('close', () => this.failed('ERR_SSL_CLOSED'))
  }

  /** Whether the peer's Finished was read: the next record is not the engine's. */
  get hasPeersFinished(): boolean {
    return this.found.has(labels[this.role].receiving)
  }

  /** One whole record. */
  take(record: Buffer): void {
    this.link.push(record)
  }

  /** Copies; only once the handshake has finished. */
  get secrets(): EngineSecrets | undefined {
    const { receiving, sending } = labels[this.role]
    const [mine, theirs] = [this.found.get(sending), this.found.get(receiving)]
    if (mine === undefined || theirs === undefined) return undefined
    const handshake = this.found.get(clientHandshake)
    return {
      sending: Buffer.from(mine),
      receiving: Buffer.from(theirs),
      handshake: handshake && Buffer.from(handshake),
    }
  }

  get suite(): string {
    return this.socket.getCipher().standardName
  }

  get peer(): EnginePeer {
    const certificate = this.socket.getPeerX509Certificate()
    if (certificate === undefined) return { problem: 'none', subjectAltName: undefined, isFor: () => false }
    const problem =
      this.role === 'server'
        ? ((this.socket as unknown as Verified)._handle?.verifyError()?.code ?? '')
        : this.socket.authorized
          ? ''
          : String((this.socket.authorizationError as { code?: string } | null)?.code ?? this.socket.authorizationError)
    return {
      problem,
      subjectAltName: certificate.subjectAltName,
      isFor: (name) => certificate.checkHost(name, { subject: 'never' }) !== undefined,
    }
  }

  /**
   * Client: calls back when everything is out, the last of it being a close_notify of the engine's own, which is not
   * for the peer.
   */
  finishOutput(callback: () => void): void {
    this.link.onFinal = callback
    this.socket.end()
  }

  /** Nothing is called any more, and no secret is left. Idempotent. */
  end(): void {
    this.isEnded = true
    for (const secret of this.found.values()) secret.fill(0)
    this.found.clear()
    this.socket.destroy()
    this.link.destroy()
  }

  private failed(code: string): void {
    if (!this.isEnded) this.hooks.onFailed(code)
  }

  /** `LABEL client-random secret`, in hexadecimal digits. */
  private keep(line: Buffer): void {
    const [label, , secret] = line.toString('latin1').trim().split(' ')
    if (label !== undefined && secret !== undefined) this.found.set(label, Buffer.from(secret, 'hex'))
    line.fill(0)
  }
}

/**
 * undefined = the handshake ends with no_application_protocol (RFC 7301 section 3.2). Raw bytes have no protocol of
 * ours: whatever a caller calls them is right, `postgresql` too.
 */
function chooseFrom(known: readonly string[]): (offer: { protocols: string[] }) => string | undefined {
  const isRaw = known.every((one) => rawProtocols.includes(one))
  return ({ protocols }) => known.find((one) => protocols.includes(one)) ?? (isRaw ? protocols[0] : undefined)
}

/** The engine's socket. */
class EngineSocket extends Duplex {
  onFinal: (() => void) | undefined
  private readonly output: (bytes: Buffer) => void

  constructor(output: (bytes: Buffer) => void) {
    super({ allowHalfOpen: true })
    this.output = output
  }

  override _read(): void {}

  override _write(bytes: Buffer, _encoding: string, callback: () => void): void {
    this.output(bytes)
    callback()
  }

  override _final(callback: () => void): void {
    callback()
    this.onFinal?.()
  }
}
