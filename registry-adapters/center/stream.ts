/** One stream to one center. Dead once it ended; a new one is made then. */
import { Client, credentials, Metadata, type ClientDuplexStream } from '@grpc/grpc-js'
import { MeshError } from '../../contracts/errors.ts'
import { formatServer } from './format-server.ts'
import type { CenterAdapterConfig } from './config.ts'
import { decodeResponse, deltaPath, encodeRequest, type DeltaRequest, type DeltaResponse } from './wire/delta.ts'

export interface StreamEvents {
  /** Throws RangeError for what makes no sense: it is refused then. */
  onResponse(response: DeltaResponse): void
  /** Once, not after `close()`. */
  onEnd(problem: MeshError): void
}

/** A center that is silent for so long is asked for a sign of life, and given up after the second time, ms. */
const keepaliveMs = 10_000
const keepaliveTimeoutMs = 5000
/** A list of 10,000 instances is some 3 MiB. */
const maxMessageBytes = 32 * 1024 * 1024

const codes: Readonly<Record<number, 'E_REGISTRY_DENIED' | 'E_REGISTRY_TIMEOUT' | undefined>> = {
  4: 'E_REGISTRY_TIMEOUT',
  7: 'E_REGISTRY_DENIED',
  16: 'E_REGISTRY_DENIED',
}

export class CenterStream {
  readonly server: string
  private readonly client: Client
  private readonly call: ClientDuplexStream<Buffer, Buffer>
  private readonly events: StreamEvents
  private isOver = false

  constructor(config: CenterAdapterConfig, at: CenterAdapterConfig['servers'][number], events: StreamEvents) {
    this.server = formatServer(at)
    this.events = events
    const tls = config.tls()
    const pem = (text: string | undefined): Buffer | null => (text === undefined ? null : Buffer.from(text))
    this.client = new Client(
      this.server,
      tls === undefined
        ? credentials.createInsecure()
        : credentials.createSsl(pem(tls.ca), pem(tls.key), pem(tls.cert)),
      {
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
    const token = config.token()
    if (token !== undefined) metadata.set('authorization', `Bearer ${token}`)
    const raw = (bytes: Buffer): Buffer => bytes
    this.call = this.client.makeBidiStreamRequest<Buffer, Buffer>(deltaPath, raw, raw, metadata)
    this.call.on('data', (bytes: Buffer) => this.take(bytes))
    this.call.on('error', (error: Error & { code?: number; details?: string }) => {
      const code = codes[error.code ?? 0] ?? 'E_REGISTRY_UNREACHABLE'
      this.end(new MeshError(code, `center ${this.server}: ${error.details ?? error.message}`))
    })
    this.call.on('end', () =>
      this.end(new MeshError('E_REGISTRY_UNREACHABLE', `center ${this.server}: it ended the stream`)),
    )
  }

  send(request: Partial<DeltaRequest> & Pick<DeltaRequest, 'typeUrl'>): void {
    if (!this.isOver) this.call.write(encodeRequest(request))
  }

  close(): void {
    this.isOver = true
    this.call.cancel()
    this.client.close()
  }

  private take(bytes: Buffer): void {
    if (this.isOver) return
    let response: DeltaResponse | undefined
    try {
      response = decodeResponse(bytes)
      this.events.onResponse(response)
      this.send({ typeUrl: response.typeUrl, nonce: response.nonce })
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      if (response === undefined)
        return this.end(new MeshError('E_REGISTRY_PROTOCOL', `center ${this.server}: ${error.message}`))
      this.send({ typeUrl: response.typeUrl, nonce: response.nonce, error: error.message })
    }
  }

  private end(problem: MeshError): void {
    if (this.isOver) return
    this.close()
    this.events.onEnd(problem)
  }
}
