/** One call of Envoy's aggregated discovery at one server, as bytes. Dead once it ended; a new one is made then. */
import { Client, credentials, Metadata, type ClientDuplexStream } from '@grpc/grpc-js'
import { MeshError } from '../contracts/errors.ts'
import { grpcTls } from '../contracts/grpc-tls.ts'
import { formatServer } from './format-server.ts'

export interface AdsCallOptions {
  /** Who is called, in what we say of it. */
  readonly role: string
  readonly at: { readonly host: string; readonly port: number }
  readonly path: string
  /** PEM; undefined = plain. */
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string } | undefined
  readonly token: string | undefined
}

export interface AdsCallEvents {
  onMessage(bytes: Buffer): void
  /** Once, not after `close()`. */
  onEnd(problem: MeshError): void
}

/** A server that is silent for so long is asked for a sign of life, and given up after the second time, ms. */
const keepaliveMs = 10_000
const keepaliveTimeoutMs = 5000
/** A list of 10,000 instances is some 3 MiB. */
const maxMessageBytes = 32 * 1024 * 1024

const codes: Readonly<Record<number, 'E_REGISTRY_DENIED' | 'E_REGISTRY_TIMEOUT' | undefined>> = {
  4: 'E_REGISTRY_TIMEOUT',
  7: 'E_REGISTRY_DENIED',
  16: 'E_REGISTRY_DENIED',
}

export class AdsCall {
  readonly server: string
  private readonly role: string
  private readonly client: Client
  private readonly call: ClientDuplexStream<Buffer, Buffer>
  private readonly events: AdsCallEvents
  private isOver = false

  constructor({ role, at, path, tls, token }: AdsCallOptions, events: AdsCallEvents) {
    this.server = formatServer(at)
    this.role = role
    this.events = events
    const { channel, ssl } = grpcTls(at.host, tls ?? {})
    this.client = new Client(
      this.server,
      tls === undefined ? credentials.createInsecure() : credentials.createSsl(...ssl),
      {
        ...channel,
        'grpc.use_local_subchannel_pool': 1,
        'grpc.enable_http_proxy': 0,
        'grpc.enable_retries': 0,
        'grpc.service_config_disable_resolution': 1,
        'grpc.max_receive_message_length': maxMessageBytes,
        'grpc.keepalive_time_ms': keepaliveMs,
        'grpc.keepalive_timeout_ms': keepaliveTimeoutMs,
      },
    )
    const metadata = new Metadata()
    if (token !== undefined) metadata.set('authorization', `Bearer ${token}`)
    const raw = (bytes: Buffer): Buffer => bytes
    this.call = this.client.makeBidiStreamRequest<Buffer, Buffer>(path, raw, raw, metadata)
    this.call.on('data', (bytes: Buffer) => {
      if (!this.isOver) this.events.onMessage(bytes)
    })
    this.call.on('error', (error: Error & { code?: number; details?: string }) => {
      this.end(codes[error.code ?? 0] ?? 'E_REGISTRY_UNREACHABLE', error.details ?? error.message)
    })
    this.call.on('end', () => this.end('E_REGISTRY_UNREACHABLE', 'it ended the stream'))
  }

  send(bytes: Buffer): void {
    if (!this.isOver) this.call.write(bytes)
  }

  /** It says what no such server says. */
  giveUp(reason: string): void {
    this.end('E_REGISTRY_PROTOCOL', reason)
  }

  close(): void {
    this.isOver = true
    this.call.cancel()
    this.client.close()
  }

  private end(code: MeshError['code'], reason: string): void {
    if (this.isOver) return
    this.close()
    this.events.onEnd(new MeshError(code, `${this.role} ${this.server}: ${reason}`))
  }
}
