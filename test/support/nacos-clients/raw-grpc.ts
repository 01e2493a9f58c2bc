/**
 * A bare gRPC connection to a Nacos server: sends any request, shows what comes back. For looking at answers field by
 * field.
 */
import type { ClientDuplexStream } from '@grpc/grpc-js'
import { Client, credentials } from '@grpc/grpc-js'
import type { Payload } from '../../../registry-adapters/nacos/wire/payload.ts'
import { decodeBody, decodePayload, encodePayload, grpcPaths } from '../../../registry-adapters/nacos/wire/payload.ts'

export interface RawAnswer {
  readonly type: string
  readonly body: Readonly<Record<string, unknown>>
}

export class RawGrpc {
  private readonly client: Client
  private readonly headers: Readonly<Record<string, string>>
  private readonly pushes: RawAnswer[] = []
  private waiters: { type: string; resolve: (push: RawAnswer) => void }[] = []
  private stream: ClientDuplexStream<Buffer, Buffer> | undefined
  /** Push types that are left unanswered. */
  readonly silentFor = new Set<string>()
  readonly closed: Promise<void>
  private markClosed: () => void = () => {}

  constructor(address: string, headers: Readonly<Record<string, string>> = {}) {
    this.client = new Client(address, credentials.createInsecure(), {
      'grpc.max_receive_message_length': -1,
      // A connection of its own: the server tells clients apart by it.
      'grpc.use_local_subchannel_pool': 1,
    })
    this.headers = headers
    this.closed = new Promise((resolve) => {
      this.markClosed = resolve
    })
  }

  /** Opens the stream and sends the set-up message; resolves when requests are accepted. */
  async setUp(body: object = { abilityTable: {} }): Promise<void> {
    await this.request('ServerCheckRequest', {})
    const raw = (bytes: Buffer): Buffer => bytes
    const stream = this.client.makeBidiStreamRequest<Buffer, Buffer>(grpcPaths.biStream, raw, raw)
    this.stream = stream
    stream.on('data', (bytes: Buffer) => this.takePush(decodePayload(bytes)))
    stream.on('error', () => {})
    stream.once('status', () => this.markClosed())
    this.send('ConnectionSetupRequest', {
      clientVersion: 'raw',
      tenant: '',
      labels: { source: 'sdk', module: 'naming' },
      ...body,
    })
    const deadline = performance.now() + 20_000
    while (performance.now() < deadline) {
      const { type } = await this.request('HealthCheckRequest', {})
      if (type === 'HealthCheckResponse') return
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    throw new Error('the connection was never accepted')
  }

  send(type: string, body: object): void {
    this.stream?.write(this.encode(type, body))
  }

  sendBytes(bytes: Buffer): void {
    this.stream?.write(bytes)
  }

  request(type: string, body: object): Promise<RawAnswer> {
    return this.requestBytes(this.encode(type, body))
  }

  requestBytes(bytes: Buffer): Promise<RawAnswer> {
    const raw = (given: Buffer): Buffer => given
    return new Promise((resolve, reject) => {
      this.client.makeUnaryRequest(
        grpcPaths.request,
        raw,
        raw,
        bytes,
        { deadline: Date.now() + 30_000 },
        (error, reply) => {
          if (error !== null) return reject(error)
          const payload = decodePayload(reply!)
          resolve({ type: payload.type, body: decodeBody(payload) })
        },
      )
    })
  }

  /** The next push of a type, also one that came already. */
  push(type: string): Promise<RawAnswer> {
    const at = this.pushes.findIndex((push) => push.type === type)
    if (at >= 0) return Promise.resolve(this.pushes.splice(at, 1)[0]!)
    return new Promise((resolve) => this.waiters.push({ type, resolve }))
  }

  /** Reads nothing from the stream until `resume()`. */
  pause(): void {
    this.stream?.pause()
  }

  resume(): void {
    this.stream?.resume()
  }

  /** Pushes that came and were not asked for. */
  get unread(): readonly RawAnswer[] {
    return this.pushes
  }

  acknowledge(push: RawAnswer): void {
    this.send(push.type.replace('Request', 'Response'), { resultCode: 200, requestId: push.body['requestId'] })
  }

  close(): void {
    this.stream?.cancel()
    this.client.close()
  }

  private encode(type: string, body: object): Buffer {
    return encodePayload({
      type,
      clientIp: '127.0.0.1',
      headers: this.headers,
      body: Buffer.from(JSON.stringify({ requestId: '7', ...body })),
    })
  }

  private takePush(payload: Payload): void {
    const push = { type: payload.type, body: decodeBody(payload) }
    if (!this.silentFor.has(push.type)) this.acknowledge(push)
    const at = this.waiters.findIndex((waiter) => waiter.type === push.type)
    if (at >= 0) this.waiters.splice(at, 1)[0]!.resolve(push)
    else this.pushes.push(push)
  }
}
