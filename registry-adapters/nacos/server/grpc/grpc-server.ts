/**
 * The gRPC port: one unary method for requests, one stream for pushes. Both of a client run over one connection, and
 * that connection is the client: what it published ends with it. Sockets are ours and injected into grpc-js, so that
 * connections can be counted, bounded and cut.
 */
import type { Socket } from 'node:net'
import type { ConnectionInjector, sendUnaryData, ServerDuplexStream, ServerUnaryCall } from '@grpc/grpc-js'
import { Server, ServerCredentials, status } from '@grpc/grpc-js'
import { every } from '../../../../contracts/clock.ts'
import type { Clock } from '../../../../contracts/clock.ts'
import type { AdapterLog, AdapterMetrics } from '../../../../contracts/registry-adapter.ts'
import { grpcErrorCodes, resultCodes } from '../../wire/codes.ts'
import { clientRequests, responseTypeOf, responseTypes, serverRequests } from '../../wire/messages.ts'
import type { Payload } from '../../wire/payload.ts'
import { decodeBody, decodePayload, encodePayload, grpcPaths } from '../../wire/payload.ts'
import { ConnectionBudget } from '../../../../guard/connection-budget.ts'
import type { Auth } from '../auth.ts'
import { callerName } from '../../../../guard/caller.ts'
import { asFault } from '../fault.ts'
import type { NacosLimits } from '../limits.ts'
import { ClientConnection } from './connection.ts'
import { UnreadBytes } from './unread-bytes.ts'
import type { RequestBody, RequestHandlers } from './request-handler.ts'
import { isObject } from './request-handler.ts'

export interface GrpcServerDeps {
  readonly handlers: RequestHandlers
  readonly auth: Auth
  readonly limits: NacosLimits
  /** The user of this host at the other end; undefined = not known. */
  readonly uidOf: (socket: Socket) => number | undefined
  readonly clock: Clock
  readonly log: AdapterLog
  readonly metrics: AdapterMetrics
  readonly onConnectionGone: (connection: string) => void
  readonly pushAckTimeoutMs: number
  /** A client that was silent for so long is asked whether it is alive; ms. Nacos itself: 20_000. */
  readonly detectAfterMs: number
  /** How long it may take to answer; ms. */
  readonly detectAnswerMs: number
}

const stalledMs = 30_000
/** A connection that says nothing at all. */
const firstByteMs = 3_000
/** How often unread bytes are looked at. */
const unreadLookMs = 100
/** A connection that does not become a client's. */
const setUpMs = 20_000

/** What the server can do, in the words of ability negotiation (2.3 and later). */
const abilities = { supportPersistentInstanceByGrpc: true }

/** Requests that need no access token. */
const openRequests: ReadonlySet<string> = new Set([
  clientRequests.serverCheck,
  clientRequests.healthCheck,
  clientRequests.pushAck,
])

type Unary = ServerUnaryCall<Buffer, Buffer>
type Duplex = ServerDuplexStream<Buffer, Buffer>

export class GrpcServer {
  private readonly deps: GrpcServerDeps
  private readonly server: Server
  private readonly injector: ConnectionInjector
  /** By peer address: what grpc-js tells of a call. */
  private readonly byId = new Map<string, ClientConnection>()
  private readonly budget: ConnectionBudget<Socket>
  private readonly unread: UnreadBytes<Socket>
  private readonly stopLooking: () => void
  private nextId = 0
  private onLastGone: (() => void) | undefined

  constructor(deps: GrpcServerDeps) {
    this.deps = deps
    this.server = new Server({
      'grpc.max_receive_message_length': deps.limits.maxMessageBytes,
      'grpc.max_send_message_length': -1,
      'grpc.max_concurrent_streams': 200,
      'grpc.keepalive_time_ms': 60_000,
    })
    const raw = {
      requestSerialize: (bytes: Buffer) => bytes,
      requestDeserialize: (bytes: Buffer) => bytes,
      responseSerialize: (bytes: Buffer) => bytes,
      responseDeserialize: (bytes: Buffer) => bytes,
    }
    this.server.addService(
      {
        request: { path: grpcPaths.request, requestStream: false, responseStream: false, ...raw },
        requestBiStream: { path: grpcPaths.biStream, requestStream: true, responseStream: true, ...raw },
      },
      {
        request: (call: Unary, done: sendUnaryData<Buffer>) => void this.answer(call, done),
        requestBiStream: (call: Duplex) => this.stream(call),
      },
    )
    this.injector = this.server.createConnectionInjector(ServerCredentials.createInsecure())
    this.unread = new UnreadBytes({
      most: deps.limits.maxBodyTotalBytes,
      mostPerCaller: deps.limits.maxBodyBytesPerUser,
      now: () => deps.clock.monotonic(),
      onBound: (bound) =>
        deps.metrics.count('nacos_face_refused', {
          bound: bound === 'most' ? 'maxBodyTotalBytes' : 'maxBodyBytesPerUser',
        }),
    })
    this.stopLooking = every(deps.clock, unreadLookMs, () => this.unread.look())
    this.budget = new ConnectionBudget({
      most: deps.limits.maxGrpcConnections,
      mostPerCaller: deps.limits.maxGrpcConnectionsPerUser,
      onBound: (bound) =>
        deps.metrics.count('nacos_face_refused', {
          bound: bound === 'most' ? 'maxGrpcConnections' : 'maxGrpcConnectionsPerUser',
        }),
    })
  }

  get connections(): number {
    return this.byId.size
  }

  get listenedDocuments(): number {
    let count = 0
    for (const connection of this.byId.values()) count += connection.documents.size
    return count
  }

  /** Takes a fresh socket; at a bound the oldest connection that is not set up leaves, or this one. */
  accept(socket: Socket): void {
    const { limits, clock, metrics, log } = this.deps
    const peer = peerOf(socket)
    socket.on('error', () => socket.destroy())
    const uid = this.deps.uidOf(socket)
    if (peer === undefined || !this.budget.enter(socket, callerName({ uid }))) {
      socket.destroy()
      return
    }
    const connection = new ClientConnection({
      uid,
      id: `${clock.wall()}_${peer.replace(/:(\d+)$/, '_$1')}_${++this.nextId}`,
      clock,
      limits,
      ackTimeoutMs: this.deps.pushAckTimeoutMs,
      stalledMs,
      destroy: () => socket.destroy(),
      onUnanswered: (subject) => {
        metrics.count('nacos_face_pushes', { result: 'unanswered' })
        log.debug({ connection: connection.id, subject }, 'nacos face: push not acknowledged, it is sent again')
      },
      onStalled: () => {
        metrics.count('nacos_face_pushes', { result: 'stalled' })
        log.warn({ connection: connection.id }, 'nacos face: client reads nothing, its connection is closed')
      },
    })
    this.byId.set(peer, connection)
    metrics.gauge('nacos_face_connections', {}, this.byId.size)
    const forgetSilent = clock.after(firstByteMs, () => {
      if (socket.bytesRead === 0) socket.destroy()
    })
    const forgetIdle = clock.after(setUpMs, () => {
      if (!connection.isSetUp) socket.destroy()
    })
    connection.onSetUp = () => this.budget.busy(socket)
    connection.onDelivered = (bytes) => this.unread.delivered(socket, bytes)
    this.unread.enter(socket, callerName({ uid }))
    socket.once('close', () => {
      forgetSilent()
      forgetIdle()
      this.budget.leave(socket)
      this.unread.leave(socket)
      if (this.byId.get(peer) === connection) this.byId.delete(peer)
      metrics.gauge('nacos_face_connections', {}, this.byId.size)
      connection.close()
      this.deps.onConnectionGone(connection.id)
      if (this.byId.size === 0) this.onLastGone?.()
    })
    socket.setNoDelay(true)
    this.injector.injectConnection(socket)
  }

  /** Asks silent clients whether they are alive. */
  sweep(): void {
    const { detectAfterMs, detectAnswerMs } = this.deps
    for (const connection of this.byId.values()) connection.detect(detectAfterMs, detectAnswerMs)
  }

  /** Tells every client to connect again, and closes the connections `graceMs` later at the latest. */
  async close(graceMs: number): Promise<void> {
    this.stopLooking()
    for (const connection of this.byId.values()) {
      if (!connection.isSetUp) continue
      connection.tell(serverRequests.connectReset, { serverIp: null, serverPort: null, connectionId: connection.id })
      connection.end()
    }
    this.injector.drain(graceMs)
    this.server.tryShutdown(() => {})
    await new Promise<void>((resolve) => {
      const cancel = this.deps.clock.after(graceMs, () => {
        for (const connection of this.byId.values()) connection.destroy()
      })
      this.onLastGone = () => {
        cancel()
        resolve()
      }
      if (this.byId.size === 0) this.onLastGone()
    })
    this.server.forceShutdown()
    this.injector.destroy()
  }

  private async answer(call: Unary, done: sendUnaryData<Buffer>): Promise<void> {
    try {
      done(null, await this.request(call))
    } catch (error) {
      done({ code: status.INTERNAL, details: asFault(error).message })
    }
  }

  private async request(call: Unary): Promise<Buffer> {
    const connection = this.byId.get(call.getPeer())
    connection?.onDelivered(call.request.length)
    let payload: Payload
    let body: RequestBody
    try {
      payload = decodePayload(call.request)
      body = payload.body.length === 0 ? {} : decodeBody(payload)
    } catch (error) {
      return answer(responseTypes.error, { resultCode: resultCodes.fail, errorCode: 400, message: String(error) })
    }
    const { type } = payload
    const refuse = (responseType: string, errorCode: number, message: string): Buffer => {
      this.deps.metrics.count('nacos_face_requests', { interface: 'grpc', result: String(errorCode) })
      return answer(responseType, { resultCode: resultCodes.fail, errorCode, message })
    }
    if (type === clientRequests.serverCheck) {
      const connectionId = connection?.id ?? ''
      return answer('ServerCheckResponse', {
        connectionId,
        supportAbilityNegotiation: true,
      })
    }
    const handler = Object.hasOwn(this.deps.handlers, type) ? this.deps.handlers[type] : undefined
    if (handler === undefined && !openRequests.has(type)) {
      return refuse(responseTypes.error, grpcErrorCodes.noHandler, 'RequestHandler Not Found')
    }
    if (connection === undefined || !connection.isSetUp) {
      return refuse(responseTypes.error, grpcErrorCodes.unregistered, 'Connection is unregistered.')
    }
    connection.touch()
    try {
      let login: string | undefined
      if (!openRequests.has(type)) {
        const { accessToken, username, password } = payload.headers
        login = this.deps.auth.check({ token: accessToken, username, password })
      }
      if (type === clientRequests.pushAck) connection.pushes.acknowledge(requestIdOf(body))
      const fields = handler === undefined ? {} : await handler(connection, body, { uid: connection.uid, login })
      this.deps.metrics.count('nacos_face_requests', { interface: 'grpc', result: 'ok' })
      return answer(responseTypeOf(type), fields)
    } catch (error) {
      const fault = asFault(error)
      if (fault.kind === 'server') {
        this.deps.log.warn({ type, error: fault.message }, 'nacos face: request failed')
      }
      if (fault.kind === 'over-limit') {
        this.deps.metrics.count('nacos_face_refused', { bound: fault.message.split(':')[0] ?? '' })
      }
      return refuse(responseTypeOf(type), fault.rpc, fault.message)
    }
  }

  private stream(call: Duplex): void {
    const connection = this.byId.get(call.getPeer())
    call.on('error', () => {})
    if (connection === undefined || connection.isSetUp) {
      call.end()
      return
    }
    call.on('data', (bytes: Buffer) => this.streamMessage(connection, call, bytes))
    // Pushes have no way any more: the client is gone, also when its socket is still open.
    const isOver = (): void => {
      if (connection.isSetUp) connection.destroy()
    }
    call.once('end', isOver)
    call.once('cancelled', isOver)
    call.once('close', isOver)
  }

  private streamMessage(connection: ClientConnection, call: Duplex, bytes: Buffer): void {
    connection.onDelivered(bytes.length)
    let payload: Payload
    let body: RequestBody
    try {
      payload = decodePayload(bytes)
      body = payload.body.length === 0 ? {} : decodeBody(payload)
    } catch (error) {
      this.deps.log.debug({ connection: connection.id, error: String(error) }, 'nacos face: malformed stream message')
      connection.destroy()
      return
    }
    connection.touch()
    if (payload.type === clientRequests.connectionSetup) {
      if (connection.isSetUp) return
      connection.setUp({
        write: (message, onFlushed) => {
          call.write(message, () => onFlushed())
        },
        end: () => call.end(),
      })
      // Clients before 2.3 send no table and do not know the answer.
      if (isObject(body['abilityTable'])) connection.tell(serverRequests.setupAck, { abilityTable: abilities })
      return
    }
    if (payload.type.endsWith('Response') || payload.type === clientRequests.pushAck) {
      connection.pushes.acknowledge(requestIdOf(body))
    }
  }
}

function requestIdOf(body: RequestBody): string {
  return typeof body['requestId'] === 'string' ? body['requestId'] : ''
}

/** A response; what `fields` do not say is success. */
function answer(type: string, fields: RequestBody): Buffer {
  const body = { resultCode: resultCodes.success, errorCode: 0, ...fields }
  const success = body.resultCode === resultCodes.success
  return encodePayload({ type, body: Buffer.from(JSON.stringify({ ...body, success })) })
}

/** As grpc-js names the peer of a call. */
function peerOf(socket: Socket): string | undefined {
  const { remoteAddress, remotePort } = socket
  return remoteAddress === undefined || remotePort === undefined ? undefined : `${remoteAddress}:${remotePort}`
}
