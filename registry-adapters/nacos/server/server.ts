/** A Nacos-compatible server: two ports, one backend behind them. */
import type { Server as HttpServer } from 'node:http'
import type { Server as NetServer, Socket } from 'node:net'
import { createServer as createNetServer } from 'node:net'
import { every } from '../../../contracts/clock.ts'
import { MeshError } from '../../../contracts/errors.ts'
import type { AdapterDeps } from '../../../contracts/registry-adapter.ts'
import type { AuthUser } from './auth.ts'
import { Auth } from './auth.ts'
import type { Backend } from './backend.ts'
import { ConfigListens } from './grpc/config-listens.ts'
import { configRequests } from './grpc/config-requests.ts'
import { GrpcServer } from './grpc/grpc-server.ts'
import { namingRequests } from './grpc/naming-requests.ts'
import { ServicePushes } from './grpc/service-pushes.ts'
import { configRoutes } from './http/config-routes.ts'
import { createHttpServer } from './http/http-server.ts'
import { LongPolls } from './http/long-poll.ts'
import { namingRoutes } from './http/naming-routes.ts'
import { serverRoutes } from './http/server-routes.ts'
import type { NacosLimits } from './limits.ts'

export interface NacosServerOptions {
  readonly host: string
  /** HTTP port; 0 = any whose neighbour 1000 above is free too. */
  readonly port: number
  /** gRPC port; default: `port` + 1000. */
  readonly grpcPort?: number
  readonly backend: Backend
  readonly limits: NacosLimits
  /** Undefined = no credentials are asked for, and any login is accepted. */
  readonly users?: readonly AuthUser[]
  /** Names that are not among `users` come in as nobody. */
  readonly takesStrangers?: boolean
  /** Names besides addresses and `localhost` that clients may dial. */
  readonly hostNames?: readonly string[]
  /** The user of this host at the other end; undefined = callers are not told apart. */
  readonly uidOf?: (socket: Socket) => number | undefined
  /** s; default 18_000. */
  readonly tokenTtlSeconds?: number
  /** Changes of a service within this time are pushed as one; ms. */
  readonly mergeWindowMs: number
  /** How long polling clients keep an answer; ms. */
  readonly cacheMillis: number
  /** How often expiry and silence are looked at; ms. */
  readonly sweepMs: number
  readonly pushAckTimeoutMs?: number
  readonly detectAfterMs?: number
  readonly detectAnswerMs?: number
  /** Called when both ports are bound and before the first request is handled. */
  readonly onListening?: () => void
}

export interface NacosServer {
  readonly port: number
  readonly grpcPort: number
  status(): {
    readonly connections: number
    readonly subscriptions: number
    /** Configuration documents that connections listen to. */
    readonly listenedDocuments: number
    readonly parkedPolls: number
  }
  /** Ends ports, connections and timers; not the backend. */
  close(): Promise<void>
}

const closeGraceMs = 300
const maxPortTries = 50

/** Listens on both ports. Rejects with E_LISTEN_IN_USE or E_LISTEN_DENIED; nothing is open then. */
export async function startNacosServer(options: NacosServerOptions, deps: AdapterDeps): Promise<NacosServer> {
  const { backend, limits, cacheMillis } = options
  const { naming, config } = backend
  const { clock } = deps
  const now = neverBack(() => clock.wall())
  const auth = new Auth({
    users: options.users,
    takesStrangers: options.takesStrangers ?? false,
    tokenTtlSeconds: options.tokenTtlSeconds ?? 18_000,
    maxTokens: limits.maxTokens,
    now: () => clock.monotonic(),
  })
  const uidOf = options.uidOf ?? (() => undefined)
  const pushes = new ServicePushes({
    naming,
    now,
    clock,
    mergeWindowMs: options.mergeWindowMs,
    cacheMillis,
    maxSubscriptions: limits.maxSubscriptions,
  })
  const listens = new ConfigListens(config, limits.maxConfigListeners)
  const polls = new LongPolls({ config, limits, clock })
  const grpc = new GrpcServer({
    handlers: {
      ...namingRequests({ naming, pushes, now, cacheMillis, maxBatch: 1000 }),
      ...configRequests(config, listens),
    },
    auth,
    limits,
    uidOf,
    clock,
    log: deps.log,
    metrics: deps.metrics,
    onConnectionGone: (connection) => naming.connectionGone(connection),
    pushAckTimeoutMs: options.pushAckTimeoutMs ?? 5_000,
    detectAfterMs: options.detectAfterMs ?? 20_000,
    detectAnswerMs: options.detectAnswerMs ?? 5_000,
  })
  const ready = Promise.withResolvers<void>()
  const http = createHttpServer({
    ready: ready.promise,
    routes: { ...namingRoutes({ naming, now, cacheMillis }), ...configRoutes(config, polls), ...serverRoutes(auth) },
    auth,
    limits,
    uidOf,
    hostNames: new Set((options.hostNames ?? []).map((name) => name.toLowerCase())),
    log: deps.log,
    metrics: deps.metrics,
  })
  const sockets = createNetServer((socket: Socket) => grpc.accept(socket))
  const { port, grpcPort } = await listenBoth(http, sockets, options)
  options.onListening?.()
  ready.resolve()
  const stopSweeps = every(clock, options.sweepMs, () => {
    backend.sweep()
    grpc.sweep()
    deps.metrics.gauge('nacos_face_subscriptions', {}, pushes.subscriptions)
    deps.metrics.gauge('nacos_face_parked_polls', {}, polls.parked)
  })
  return {
    port,
    grpcPort,
    status: () => ({
      connections: grpc.connections,
      subscriptions: pushes.subscriptions,
      listenedDocuments: grpc.listenedDocuments,
      parkedPolls: polls.parked,
    }),
    async close() {
      stopSweeps()
      polls.close()
      const closed = Promise.all([closeServer(http), closeServer(sockets)])
      http.closeIdleConnections()
      await grpc.close(closeGraceMs)
      pushes.close()
      http.closeAllConnections()
      await closed
    },
  }
}

/** Epoch ms that clients may compare: a clock that was set back stands still instead. */
function neverBack(now: () => number): () => number {
  let last = 0
  return () => {
    last = Math.max(last, now())
    return last
  }
}

async function listenBoth(
  http: HttpServer,
  sockets: NetServer,
  options: NacosServerOptions,
): Promise<{ port: number; grpcPort: number }> {
  const { host } = options
  for (let tries = 1; ; tries++) {
    const port = await listen(http, host, options.port)
    try {
      const wanted = options.grpcPort ?? port + 1000
      if (wanted > 65_535) throw new MeshError('E_LISTEN_IN_USE', `${host}:${wanted}: above the last port`)
      return { port, grpcPort: await listen(sockets, host, wanted) }
    } catch (error) {
      const closed = closeServer(http)
      http.closeAllConnections()
      await closed
      if (options.port !== 0 || options.grpcPort !== undefined || tries >= maxPortTries) throw error
    }
  }
}

function listen(server: NetServer, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => {
      const isTaken = error.code === 'EADDRINUSE'
      reject(
        new MeshError(
          isTaken ? 'E_LISTEN_IN_USE' : 'E_LISTEN_DENIED',
          `nacos face ${host}:${port}: ${error.code ?? error.message}; choose another port or stop the other process`,
          { cause: error },
        ),
      )
    }
    server.once('error', failed)
    server.listen({ host, port }, () => {
      server.removeListener('error', failed)
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

function closeServer(server: NetServer): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
  })
}
