/**
 * One connection to one server: check, stream, set-up, in that order and all on one HTTP/2 connection, because a server
 * knows its client by the connection that the stream came in on. Dead once it ended; a new one is made then.
 */
import type { Clock } from '../../../contracts/clock.ts'
import { Client, credentials, Metadata } from '@grpc/grpc-js'
import type { ClientDuplexStream, ServiceError } from '@grpc/grpc-js'
import { MeshError } from '../../../contracts/errors.ts'
import { grpcTls } from '../../../contracts/grpc-tls.ts'
import type { NacosTls } from '../config.ts'
import { excerpt } from '../server-list/http-client.ts'
import type { NacosMember } from '../server-list/server-list.ts'
import { grpcErrorCodes, resultCodes } from '../wire/codes.ts'
import { clientRequests, responseTypeOf, responseTypes, serverRequests } from '../wire/messages.ts'
import { decodeBody, decodePayload, encodePayload, grpcPaths, maxPayloadBytes } from '../wire/payload.ts'

export interface GrpcAnswer {
  readonly type: string
  readonly body: Readonly<Record<string, unknown>>
}

export interface ConnectionOptions {
  readonly server: NacosMember
  readonly grpcPort: number
  readonly tls: NacosTls | undefined
  readonly labels: Readonly<Record<string, string>>
  /** Namespace id, '' for public. */
  readonly tenant: string
  readonly clientIp: string
  readonly connectTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly clock: Clock
}

export interface ConnectionEvents {
  /**
   * A request of the server that is about data; it is acknowledged already. Must not throw and should return at once.
   */
  onPush(type: string, body: Readonly<Record<string, unknown>>): void
  /** The server wants us elsewhere; `hint` is the HTTP address of the server that it names. */
  onReset(hint: string | undefined): void
  /** The connection is over. Called once, not after `close()`. */
  onEnd(problem: MeshError): void
  /** Something that cannot be understood came in and was dropped. */
  onGarbage(problem: MeshError): void
}

/** Acknowledgements that a server has not taken yet; beyond, it does not read, and the connection is given up. */
const maxUnsentAcks = 1024

/** Between two questions whether the server has registered the connection; servers before 2.3 do not tell. */
const registeredPollMs = 50

export class NacosConnection {
  readonly server: NacosMember
  private readonly client: Client
  private readonly options: ConnectionOptions
  private readonly events: ConnectionEvents
  private stream: ClientDuplexStream<Buffer, Buffer> | undefined
  private givenId = ''
  private heardAt = 0
  private unsentAcks = 0
  private over = false
  private isSetUp = false

  private constructor(options: ConnectionOptions, events: ConnectionEvents) {
    this.server = options.server
    this.options = options
    this.events = events
    const { address } = options.server
    const target = address.includes(':')
      ? `ipv6:[${address}]:${options.grpcPort}`
      : `ipv4:${address}:${options.grpcPort}`
    const name = options.tls === undefined ? undefined : (options.tls.serverName ?? options.server.host)
    const { channel, ssl } = grpcTls(name ?? '', options.tls ?? {})
    const identity = name === undefined ? credentials.createInsecure() : credentials.createSsl(...ssl)
    this.client = new Client(target, identity, {
      // a channel of its own: naming and configuration must not share a connection
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_http_proxy': 0,
      'grpc.enable_retries': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.max_receive_message_length': maxPayloadBytes + 65_536,
      'grpc.max_send_message_length': maxPayloadBytes + 65_536,
      ...(name === undefined ? {} : { 'grpc.ssl_target_name_override': name, 'grpc.default_authority': name }),
      ...channel,
    })
  }

  /**
   * Sets a connection up. Rejects with E_REGISTRY_UNREACHABLE, E_REGISTRY_TIMEOUT, E_REGISTRY_DENIED or
   * E_REGISTRY_PROTOCOL; nothing is left open then.
   */
  static async open(
    options: ConnectionOptions,
    events: ConnectionEvents,
    signal: AbortSignal,
  ): Promise<NacosConnection> {
    const connection = new NacosConnection(options, events)
    const onAbort = (): void => connection.close()
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      await connection.setUp(signal)
      return connection
    } catch (error) {
      connection.close()
      throw error
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Given by the server; '' if it gave none. */
  get id(): string {
    return this.givenId
  }

  /** Monotonic ms. */
  get lastHeardAt(): number {
    return this.heardAt
  }

  get isOver(): boolean {
    return this.over
  }

  /**
   * One request and its answer, whatever the answer says. Rejects with E_REGISTRY_UNREACHABLE, E_REGISTRY_TIMEOUT or
   * E_REGISTRY_PROTOCOL.
   */
  async request(
    type: string,
    body: object,
    headers: Readonly<Record<string, string>>,
    timeoutMs: number = this.options.requestTimeoutMs,
  ): Promise<GrpcAnswer> {
    const bytes = await this.unary(this.encode(type, body, headers), type, timeoutMs)
    this.heard()
    const payload = decodePayload(bytes)
    if (payload.type !== responseTypeOf(type) && payload.type !== responseTypes.error)
      throw new MeshError(
        'E_REGISTRY_PROTOCOL',
        `${this.name()}: ${type} was answered with ${payload.type.slice(0, 80)}`,
      )
    return { type: payload.type, body: decodeBody(payload) }
  }

  /** Ends everything. Idempotent; `onEnd` is not called. */
  close(): void {
    this.over = true
    this.stream?.cancel()
    this.client.close()
  }

  private async setUp(signal: AbortSignal): Promise<void> {
    const deadline = this.options.clock.monotonic() + this.options.connectTimeoutMs
    const left = (): number => {
      if (signal.aborted) throw new MeshError('E_REGISTRY_TIMEOUT', `${this.name()}: given up`)
      const ms = deadline - this.options.clock.monotonic()
      if (ms <= 0)
        throw new MeshError(
          'E_REGISTRY_TIMEOUT',
          `${this.name()}: not set up after ${this.options.connectTimeoutMs} ms`,
        )
      return Math.min(ms, this.options.requestTimeoutMs)
    }
    const check = await this.request(clientRequests.serverCheck, {}, {}, left())
    failIfRefused(check, this.name())
    this.givenId = typeof check.body['connectionId'] === 'string' ? check.body['connectionId'].slice(0, 200) : ''
    this.openStream()
    this.send(clientRequests.connectionSetup, {
      clientVersion: 'Nacos-Hostmesh:v1',
      tenant: this.options.tenant,
      labels: this.options.labels,
      abilityTable: { supportPersistentInstanceByGrpc: false },
      clientAbilities: {},
    })
    for (;;) {
      const answer = await this.request(clientRequests.healthCheck, {}, {}, left())
      if (this.over) throw new MeshError('E_REGISTRY_UNREACHABLE', `${this.name()}: ended while it was set up`)
      if (answer.body['errorCode'] !== grpcErrorCodes.unregistered) {
        failIfRefused(answer, this.name())
        this.isSetUp = true
        return
      }
      left()
      await new Promise<void>((resolve) => void this.options.clock.after(registeredPollMs, resolve))
    }
  }

  private openStream(): void {
    const stream = this.client.makeBidiStreamRequest(grpcPaths.biStream, asIs, asIs, new Metadata())
    this.stream = stream
    stream.on('data', (bytes: Buffer) => this.receive(bytes))
    stream.on('error', (error: ServiceError) => this.end(`stream failed: ${error.details || error.message}`))
    stream.on('end', () => this.end('the server closed the stream'))
  }

  private receive(bytes: Buffer): void {
    if (this.over) return
    this.heard()
    let type: string
    let body: Readonly<Record<string, unknown>>
    try {
      const payload = decodePayload(bytes)
      type = payload.type
      body = decodeBody(payload)
    } catch (error) {
      this.events.onGarbage(error as MeshError)
      return
    }
    const isKnown = (Object.values(serverRequests) as string[]).includes(type)
    if (!isKnown) {
      // an answer of the server's or a request of a newer line: nothing that we asked for
      if (type.endsWith('Request'))
        this.events.onGarbage(new MeshError('E_REGISTRY_PROTOCOL', `${this.name()}: ${type.slice(0, 80)} is unknown`))
      return
    }
    const requestId = typeof body['requestId'] === 'string' ? body['requestId'] : ''
    // the acknowledgement goes first: a push never waits for what we do with it
    this.send(responseTypeOf(type), { resultCode: resultCodes.success, requestId })
    switch (type) {
      case serverRequests.notifySubscriber:
      case serverRequests.configChangeNotify:
        this.events.onPush(type, body)
        break
      case serverRequests.connectReset:
        if (this.isSetUp) this.events.onReset(resetHint(body))
        else this.end('the server is starting or has too many connections')
        break
    }
  }

  private send(type: string, body: object): void {
    const stream = this.stream
    if (stream === undefined || this.over) return
    if (this.unsentAcks >= maxUnsentAcks) {
      this.end(`the server does not read: ${maxUnsentAcks} acknowledgements are waiting`)
      return
    }
    this.unsentAcks++
    stream.write(this.encode(type, body, {}), () => {
      this.unsentAcks--
    })
  }

  private unary(bytes: Buffer, type: string, timeoutMs: number): Promise<Buffer> {
    if (this.over) return Promise.reject(new MeshError('E_REGISTRY_UNREACHABLE', `${this.name()}: connection is over`))
    return new Promise((resolve, reject) => {
      const metadata = new Metadata()
      const options = { deadline: this.options.clock.wall() + timeoutMs }
      this.client.makeUnaryRequest(grpcPaths.request, asIs, asIs, bytes, metadata, options, (error, answer) => {
        if (error === null && answer !== undefined) return resolve(answer)
        const words = error?.details.replace(/ ?Resolution note: *$/, '') ?? 'no answer'
        // 4: deadline exceeded
        reject(
          error?.code === 4
            ? new MeshError(
                'E_REGISTRY_TIMEOUT',
                `${this.name()}: ${type} was not answered within ${Math.round(timeoutMs)} ms`,
              )
            : new MeshError('E_REGISTRY_UNREACHABLE', `${this.name()}: ${type} failed: ${words}`),
        )
      })
    })
  }

  private encode(type: string, body: object, headers: Readonly<Record<string, string>>): Buffer {
    return encodePayload({
      type,
      clientIp: this.options.clientIp,
      headers,
      body: Buffer.from(JSON.stringify(body), 'utf8'),
    })
  }

  private end(words: string): void {
    if (this.over) return
    this.close()
    if (this.isSetUp) this.events.onEnd(new MeshError('E_REGISTRY_UNREACHABLE', `${this.name()}: ${words}`))
  }

  private heard(): void {
    this.heardAt = this.options.clock.monotonic()
  }

  private name(): string {
    return `nacos at ${this.server.id} (gRPC port ${this.options.grpcPort})`
  }
}

function failIfRefused(answer: GrpcAnswer, name: string): void {
  if (answer.body['resultCode'] === resultCodes.success) return
  const code = answer.body['errorCode']
  const words = `${String(code)} ${excerpt(answer.body['message'])}`
  throw new MeshError(
    code === grpcErrorCodes.denied ? 'E_REGISTRY_DENIED' : 'E_REGISTRY_UNREACHABLE',
    `${name}: refused the connection with ${words}`,
  )
}

function resetHint(body: Readonly<Record<string, unknown>>): string | undefined {
  const address = body['serverIp']
  const port = body['serverPort']
  if (typeof address !== 'string' || address === '' || !/^\d{1,5}$/.test(String(port))) return undefined
  return address.includes(':') ? `[${address}]:${String(port)}` : `${address}:${String(port)}`
}

function asIs(bytes: Buffer): Buffer {
  return bytes
}
