/**
 * The gRPC side of a stand-in Nacos server, 2.x and 3.x. Whatever it does can be replaced by a script, request by
 * request.
 */
import { Server } from '@grpc/grpc-js'
import type {
  sendUnaryData,
  ServerCredentials,
  ServerDuplexStream,
  ServerUnaryCall,
  ServiceDefinition,
} from '@grpc/grpc-js'
import { setTimeout as delay } from 'node:timers/promises'
import type { ServiceName } from '../../../../contracts/endpoint.ts'
import { clientRequests, responseTypeOf, serverRequests } from '../../../../registry-adapters/nacos/wire/messages.ts'
import {
  decodeBody,
  decodePayload,
  encodePayload,
  grpcPaths,
} from '../../../../registry-adapters/nacos/wire/payload.ts'
import type { Payload } from '../../../../registry-adapters/nacos/wire/payload.ts'
import type { StandInStore } from './store.ts'

export type GrpcReply =
  | { readonly kind: 'answer'; readonly type?: string; readonly body: object }
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'hang' }
  /** A gRPC status instead of an answer; 14 is "unavailable". */
  | { readonly kind: 'status'; readonly code: number }

export interface GrpcRequestSeen {
  readonly type: string
  readonly body: Readonly<Record<string, unknown>>
  readonly headers: Readonly<Record<string, string>>
  /** Peer address: the same for everything on one connection. */
  readonly peer: string
  readonly at: number
}

export interface StandInConnection {
  readonly peer: string
  readonly module: string
  readonly subscribed: Set<string>
  readonly documents: Map<string, { tenant: string; group: string; dataId: string }>
  push(type: string, body: object): void
  pushBytes(bytes: Buffer): void
  /** Reads nothing from the stream any more. */
  stopReading(): void
  /** Ends the stream. */
  end(): void
}

export interface GrpcScript {
  /** 2.3 and later announce and send the acknowledgement of the set-up; ms until it is sent. */
  setupAckMs: number | 'never'
  hasAbilityNegotiation: boolean
  /** ms between the set-up and the moment when the connection counts. */
  registerMs: number
  /** Called for each unary request; undefined = the ordinary answer. */
  onRequest: ((seen: GrpcRequestSeen) => GrpcReply | undefined | Promise<GrpcReply | undefined>) | undefined
  /** Called after each set-up. */
  onSetUp: ((connection: StandInConnection) => void) | undefined
  /** Whether changes of the store are pushed. */
  isPushing: boolean
  /** A token that every naming and configuration request must carry; undefined = none. */
  isTokenGood: ((token: string | undefined) => boolean) | undefined
}

export function ordinaryScript(): GrpcScript {
  return {
    setupAckMs: 0,
    hasAbilityNegotiation: true,
    registerMs: 0,
    onRequest: undefined,
    onSetUp: undefined,
    isPushing: true,
    isTokenGood: undefined,
  }
}

export interface StandInGrpc {
  readonly port: number
  readonly seen: GrpcRequestSeen[]
  /** What clients sent on streams: acknowledgements. */
  readonly acks: { readonly type: string; readonly body: Readonly<Record<string, unknown>> }[]
  readonly connections: StandInConnection[]
  notifyService(service: ServiceName): void
  notifyDocument(tenant: string, group: string, dataId: string): void
  close(): void
}

type BiStream = ServerDuplexStream<Buffer, Buffer>

export async function startGrpc(
  port: number,
  store: StandInStore,
  script: GrpcScript,
  credentials: ServerCredentials,
): Promise<StandInGrpc> {
  const seen: GrpcRequestSeen[] = []
  const acks: StandInGrpc['acks'] = []
  const connections: (StandInConnection & { isRegistered: boolean })[] = []
  let serial = 0

  const find = (peer: string) => connections.find((connection) => connection.peer === peer)
  const failed = (errorCode: number, message: string): GrpcReply => ({
    kind: 'answer',
    type: 'ErrorResponse',
    body: { resultCode: 500, errorCode, message },
  })

  const ordinary = (request: GrpcRequestSeen): GrpcReply => {
    const { type, body } = request
    const ok = (more: object): GrpcReply => ({
      kind: 'answer',
      body: { resultCode: 200, errorCode: 0, message: null, ...more },
    })
    if (type === clientRequests.serverCheck)
      return ok({
        connectionId: `c-${++serial}`,
        ...(script.hasAbilityNegotiation ? { supportAbilityNegotiation: true } : {}),
      })
    const connection = find(request.peer)
    if (connection?.isRegistered !== true) return failed(301, 'Connection is unregistered.')
    if (type === clientRequests.healthCheck) return ok({})
    if (script.isTokenGood !== undefined && !script.isTokenGood(request.headers['accessToken']))
      return {
        kind: 'answer',
        type: 'ErrorResponse',
        body: { resultCode: 500, errorCode: 403, message: 'token expired!' },
      }
    const service: ServiceName = {
      namespace: text(body['namespace']) || 'public',
      group: text(body['groupName']) || 'DEFAULT_GROUP',
      name: text(body['serviceName']),
    }
    const [tenant, group, dataId] = [text(body['tenant']), text(body['group']), text(body['dataId'])]
    switch (type) {
      case clientRequests.subscribeService:
        if (body['subscribe'] === true) connection.subscribed.add(keyOf(service))
        else connection.subscribed.delete(keyOf(service))
        return ok({ serviceInfo: store.info(service) })
      case clientRequests.serviceQuery:
        return ok({ serviceInfo: store.info(service) })
      case clientRequests.serviceList: {
        const names = store.serviceNames(service.namespace, service.group)
        const size = Number(body['pageSize'])
        const from = (Number(body['pageNo']) - 1) * size
        return ok({ count: names.length, serviceNames: names.slice(from, from + size) })
      }
      case clientRequests.configQuery: {
        const found = store.document(tenant, group, dataId)
        if (found === undefined)
          return { kind: 'answer', body: { resultCode: 500, errorCode: 300, message: 'config data not exist' } }
        return ok({ ...found, contentType: 'text' })
      }
      case clientRequests.configPublish:
        // like a real 2.3.1: says yes also when the compare-and-set did not write
        store.writeDocument(tenant, group, dataId, text(body['content']), text(body['casMd5']))
        return ok({})
      case clientRequests.configRemove:
        store.removeDocument(tenant, group, dataId)
        return ok({})
      case clientRequests.configBatchListen: {
        const contexts = body['configListenContexts'] as {
          tenant: string
          group: string
          dataId: string
          md5: string
        }[]
        const changedConfigs = []
        for (const { md5, ...key } of contexts) {
          const id = `${key.tenant}\n${key.group}\n${key.dataId}`
          if (body['listen'] === true) connection.documents.set(id, key)
          else connection.documents.delete(id)
          if ((store.document(key.tenant, key.group, key.dataId)?.md5 ?? '') !== (md5 || '')) changedConfigs.push(key)
        }
        return ok({ changedConfigs })
      }
      default:
        return failed(302, `no handler for ${type}`)
    }
  }

  const unary = (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>): void => {
    void (async () => {
      const payload = decodePayload(call.request)
      const request = {
        type: payload.type,
        body: decodeBody(payload),
        headers: payload.headers,
        peer: call.getPeer(),
        at: performance.now(),
      }
      seen.push(request)
      const reply = (await script.onRequest?.(request)) ?? ordinary(request)
      if (reply.kind === 'hang') return
      if (reply.kind === 'status') return done({ code: reply.code, details: 'scripted' })
      if (reply.kind === 'bytes') return done(null, reply.bytes)
      done(null, encode(reply.type ?? responseTypeOf(payload.type), reply.body))
    })()
  }

  const stream = (call: BiStream): void => {
    const peer = call.getPeer()
    call.on('error', () => undefined)
    const leave = (): void => {
      const at = connections.findIndex((connection) => connection.peer === peer)
      if (at >= 0) connections.splice(at, 1)
    }
    call.on('close', leave)
    call.on('cancelled', leave)
    call.on('end', () => {
      leave()
      call.end()
    })
    call.on('data', (bytes: Buffer) => {
      const payload: Payload = decodePayload(bytes)
      const body = decodeBody(payload)
      if (payload.type !== clientRequests.connectionSetup) {
        acks.push({ type: payload.type, body })
        return
      }
      const labels = body['labels'] as Readonly<Record<string, string>>
      const connection = {
        peer,
        module: labels['module'] ?? '',
        subscribed: new Set<string>(),
        documents: new Map<string, { tenant: string; group: string; dataId: string }>(),
        isRegistered: script.registerMs === 0,
        push: (type: string, pushed: object) =>
          void call.write(encode(type, { requestId: String(++serial), ...pushed })),
        pushBytes: (pushed: Buffer) => void call.write(pushed),
        stopReading: () => void call.pause(),
        end: () => {
          leave()
          call.end()
        },
      }
      connections.push(connection)
      if (script.registerMs > 0)
        void delay(script.registerMs).then(() => {
          connection.isRegistered = true
        })
      if (script.hasAbilityNegotiation && script.setupAckMs !== 'never')
        void delay(script.setupAckMs, undefined, { ref: false }).then(() =>
          connection.push(serverRequests.setupAck, { abilityTable: {} }),
        )
      script.onSetUp?.(connection)
    })
  }

  const server = new Server({
    'grpc.max_receive_message_length': 64 * 1024 * 1024,
    'grpc.max_send_message_length': 64 * 1024 * 1024,
  })
  server.addService(methods, { request: unary, requestBiStream: stream })
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, actual) =>
      error === null ? resolve(actual) : reject(error),
    )
  })
  return {
    port: bound,
    seen,
    acks,
    connections,
    notifyService: (service) => {
      if (!script.isPushing) return
      for (const connection of connections)
        if (connection.subscribed.has(keyOf(service)))
          connection.push(serverRequests.notifySubscriber, { module: 'naming', serviceInfo: store.info(service) })
    },
    notifyDocument: (tenant, group, dataId) => {
      if (!script.isPushing) return
      for (const connection of connections)
        if (connection.documents.has(`${tenant}\n${group}\n${dataId}`))
          connection.push(serverRequests.configChangeNotify, { module: 'config', tenant, group, dataId })
    },
    close: () => server.forceShutdown(),
  }
}

function encode(type: string, body: object): Buffer {
  return encodePayload({ type, body: Buffer.from(JSON.stringify(body)) })
}

function keyOf(service: ServiceName): string {
  return `${service.namespace}/${service.group}@@${service.name}`
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

const asIs = (bytes: Buffer): Buffer => bytes
const shape = { requestSerialize: asIs, requestDeserialize: asIs, responseSerialize: asIs, responseDeserialize: asIs }
const methods: ServiceDefinition = {
  request: { path: grpcPaths.request, requestStream: false, responseStream: false, ...shape },
  requestBiStream: { path: grpcPaths.biStream, requestStream: true, responseStream: true, ...shape },
}
