/** TLS connections over real sockets of this process, without a worker around them. */
import { once } from 'node:events'
import { createServer as createTlsServer, connect as connectTls } from 'node:tls'
import type { AddressInfo } from 'node:net'
import type { ConnectionOptions, TlsOptions, TLSSocket } from 'node:tls'

import { adoptTls } from '../../../agent/worker/transport/tls/adopt-tls.ts'
import { Contexts } from '../../../agent/worker/transport/tls/contexts.ts'
import { Handshake } from '../../../agent/worker/transport/tls/handshake.ts'
import type { PeerCheck } from '../../../agent/worker/transport/tls/peer-check.ts'
import { spiffeCheck } from '../../../agent/worker/transport/tls/peer-check.ts'
import type { RecordCiphers } from '../../../agent/worker/transport/tls/record-cipher.ts'
import { TlsShared } from '../../../agent/worker/transport/tls/tls-shared.ts'
import type { TlsTransport } from '../../../agent/worker/transport/tls/tls-transport.ts'
import { Output } from '../../../agent/worker/transport/output.ts'
import { rawTransports } from '../../../agent/worker/transport/raw-handle.ts'
import type { Transport, TransportListener } from '../../../agent/worker/transport/transport.ts'
import type { WorkloadCertificate } from '../../../contracts/workload-certificate.ts'
import { loadNative } from '../../../native/descriptors.ts'
import { eventually } from '../worker/eventually.ts'
import type { Authority, Issued } from './authority.ts'

export function workload(authority: Authority, issued: Issued, id: string): WorkloadCertificate {
  const { certificate: chain, key } = issued
  return { id, chain, key, trustBundle: authority.certificate, notAfter: Date.now() + 3_600_000 }
}

/** An owner that keeps what it is told. */
export class Side {
  transport: Transport
  received: Buffer = Buffer.alloc(0)
  hasEnded = false
  closed: string | undefined
  onBytes: (() => void) | undefined

  constructor(transport: Transport) {
    this.transport = transport
    this.watch(transport)
  }

  watch(transport: Transport): void {
    this.transport = transport
    transport.owner = {
      onBytes: (bytes, length) => {
        this.received = Buffer.concat([this.received, bytes.subarray(0, length)])
        this.onBytes?.()
      },
      onEnd: () => (this.hasEnded = true),
      onDrained() {},
      onClosed: (reason) => (this.closed = reason),
    }
    transport.resumeReading()
  }
}

export interface Outcome {
  readonly side: Side | undefined
  readonly reason: string
}

export class SecureSockets {
  readonly output = new Output()
  readonly transports = rawTransports(this.output)
  readonly events: string[] = []
  readonly shared: TlsShared
  readonly contexts = new Contexts()
  onServerError: (error: NodeJS.ErrnoException) => void = () => undefined
  private readonly ends: (() => void)[] = []
  private readonly native = loadNative().native!

  constructor(ciphers: RecordCiphers) {
    this.shared = new TlsShared(ciphers, {
      onFault: (role, alert) => this.events.push(`${role} fault ${alert}`),
      onPeerAlert: (role, code) => this.events.push(`${role} alert ${code}`),
      onTruncated: (role) => this.events.push(`${role} truncated`),
    })
  }

  close(): void {
    for (const end of this.ends.splice(0)) end()
  }

  /** Accepts with mutual TLS; how each handshake ended is in `outcomes`. */
  async serve(
    certificate: WorkloadCertificate,
    check: PeerCheck = spiffeCheck([]),
    protocols: readonly string[] = [],
  ): Promise<{ port: number; outcomes: Outcome[]; listener: TransportListener }> {
    const outcomes: Outcome[] = []
    const context = this.contexts.mutualOf(certificate)
    const listener = await this.transports.listen(
      { address: '127.0.0.1', port: 0, backlog: 64, reusePort: false },
      (transport) => {
        const options = { role: 'server', context, asksCertificate: true, protocols, serverName: '' } as const
        void new Handshake(this.shared, transport, Buffer.alloc(0), options, check, this.keep(outcomes))
      },
    )
    this.ends.push(() => listener.close())
    return { port: listener.port, outcomes, listener }
  }

  async dial(
    port: number,
    certificate: WorkloadCertificate,
    check: PeerCheck = spiffeCheck([]),
    serverName = '',
  ): Promise<Outcome> {
    const transport = await this.dialPlain(port)
    const outcomes: Outcome[] = []
    const options = {
      role: 'client',
      context: this.contexts.mutualOf(certificate),
      asksCertificate: true,
      protocols: ['http/1.1'],
      serverName,
    } as const
    void new Handshake(this.shared, transport, Buffer.alloc(0), options, check, this.keep(outcomes))
    await eventually(() => outcomes.length === 1)
    return outcomes[0]!
  }

  dialPlain(port: number): Promise<Transport> {
    return new Promise((resolve, reject) => {
      this.transports.dial('127.0.0.1', port, (transport, reason) =>
        transport === null ? reject(new Error(reason)) : resolve(transport),
      )
    })
  }

  send(side: Side, bytes: Buffer | string): boolean {
    this.output.append(Buffer.from(bytes))
    return side.transport.write(this.output)
  }

  /** Takes the transport of a side out of this process and brings it in again, as a hot restart does. */
  move(side: Side): void {
    const copy = this.native.duplicate(side.transport.descriptor)
    const { state } = side.transport.detach()
    const written = JSON.parse(JSON.stringify(state)) as NonNullable<typeof state>
    side.watch(adoptTls(this.shared, () => this.transports.open(copy, null), written))
  }

  nodeClient(port: number, options: ConnectionOptions): TLSSocket {
    const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
    socket.on('error', () => undefined)
    this.ends.push(() => socket.destroy())
    return socket
  }

  async nodeServer(options: TlsOptions, onSocket: (socket: TLSSocket) => void): Promise<number> {
    const server = createTlsServer({ requestCert: true, rejectUnauthorized: false, ...options }, (socket) => {
      socket.on('error', () => undefined)
      onSocket(socket)
    })
    server.on('tlsClientError', (error) => this.onServerError(error))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    this.ends.push(() => server.close())
    return (server.address() as AddressInfo).port
  }

  private keep(outcomes: Outcome[]) {
    return {
      onSecure: (transport: TlsTransport) => {
        const side = new Side(transport)
        this.ends.push(() => side.transport.close())
        outcomes.push({ side, reason: '' })
      },
      onInsecure: (reason: string) => void outcomes.push({ side: undefined, reason }),
    }
  }
}
