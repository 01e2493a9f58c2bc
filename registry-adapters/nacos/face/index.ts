/** The Nacos face: unmodified Nacos clients on this host join the mesh by pointing them at it. */
import type { FaceDeps } from './face-deps.ts'
import { GuardedConfig } from './guarded-config.ts'
import { GuardedNaming } from './guarded-naming.ts'
import type { NacosLimits } from '../server/limits.ts'
import type { AuthUser } from '../server/auth.ts'
import { defaultLimits } from '../server/limits.ts'
import { MeshConfig } from './mesh-config.ts'
import { MeshNaming } from './mesh-naming.ts'
import type { NacosServer } from '../server/server.ts'
import { startNacosServer } from '../server/server.ts'

export type { FaceApplication, FaceDeps, FaceEndpoint, FaceServiceListener } from './face-deps.ts'

export interface NacosFaceConfig {
  /** Loopback address to listen on. */
  readonly host: string
  /** HTTP port, 8848 by custom; 0 = any whose neighbour 1000 above is free too. */
  readonly port: number
  /** gRPC port; default: `port` + 1000, where clients look for it and cannot be told otherwise. */
  readonly grpcPort?: number
  /**
   * How long an application that a former face had registered stays announced while its client is away; ms, default
   * 30_000.
   */
  readonly reconnectGraceMs?: number
  /** The same for a client whose connection breaks; ms, default 2000. */
  readonly connectionGraceMs?: number
  /** Changes of a service within this time are pushed as one; ms, default 20 (the real server has merged already). */
  readonly mergeWindowMs?: number
  /** How long polling (HTTP) clients keep an answer; ms, default 1000. */
  readonly cacheMillis?: number
  /** How long a question about a service waits for the registry's first answer; ms, default 3000. */
  readonly firstAnswerMs?: number
  /** How long a service or document that nobody asks for stays subscribed; ms, default 60_000. */
  readonly idleMs?: number
  /** How often heartbeats and silent connections are looked at; ms, default 1000. */
  readonly sweepMs?: number
  /** Names besides addresses and `localhost` that clients may dial: what resolves here by the host's own files. */
  readonly hostNames?: readonly string[]
  /** Names that prove themselves by a password; every other login is accepted and proves nothing. */
  readonly logins?: readonly AuthUser[]
  readonly limits?: Partial<NacosLimits>
}

export interface NacosFaceStatus {
  readonly port: number
  readonly grpcPort: number
  /** gRPC connections of clients. */
  readonly connections: number
  /** Applications announced for them. */
  readonly applications: number
  /** Subscriptions of connections. */
  readonly subscriptions: number
  /** Long polls that wait. */
  readonly parkedPolls: number
}

export interface NacosFace {
  /**
   * Listens on both ports. Rejects with E_LISTEN_IN_USE or E_LISTEN_DENIED; nothing is left open then, and it may be
   * tried again.
   */
  start(): Promise<void>
  /** undefined = not started. */
  status(): NacosFaceStatus | undefined
  /**
   * Closes ports, connections and timers; clients are told to connect again. Deregisters nothing: the next face of this
   * host takes the applications over.
   */
  close(): Promise<void>
}

const configTimeoutMs = 5_000

/**
 * The face with the mesh behind it. Opens nothing before `start()`. What the real server wants to be logged in with is
 * control's to know.
 */
export function createNacosFace(config: NacosFaceConfig, deps: FaceDeps): NacosFace {
  const limits = { ...defaultLimits, ...config.limits }
  const idleMs = config.idleMs ?? 60_000
  const naming = new MeshNaming(deps, {
    limits,
    connectionGraceMs: config.connectionGraceMs ?? 2_000,
    reconnectGraceMs: config.reconnectGraceMs ?? 30_000,
    firstAnswerMs: config.firstAnswerMs ?? 3_000,
    idleMs,
  })
  const documents = new MeshConfig(deps, {
    maxWatched: limits.maxConfigs,
    maxWatchedPerUser: limits.maxConfigsPerUser,
    timeoutMs: configTimeoutMs,
    idleMs,
  })
  let server: NacosServer | undefined
  return {
    async start() {
      server = await startNacosServer(
        {
          host: config.host,
          port: config.port,
          ...(config.grpcPort === undefined ? {} : { grpcPort: config.grpcPort }),
          backend: {
            naming: new GuardedNaming(naming, deps, limits),
            config: new GuardedConfig(documents, deps),
            sweep() {
              naming.sweep()
              documents.sweep()
            },
          },
          limits,
          users: config.logins ?? [],
          takesStrangers: true,
          hostNames: config.hostNames ?? [],
          uidOf: (socket) => deps.uidOf(socket),
          mergeWindowMs: config.mergeWindowMs ?? 20,
          cacheMillis: config.cacheMillis ?? 1_000,
          sweepMs: config.sweepMs ?? 1_000,
          onListening: () => naming.restore(deps.restoredApplications()),
        },
        deps,
      )
    },
    status() {
      if (server === undefined) return undefined
      const { connections, subscriptions, parkedPolls } = server.status()
      const { port, grpcPort } = server
      return { port, grpcPort, connections, subscriptions, parkedPolls, applications: naming.counts().instances }
    },
    async close() {
      naming.freeze()
      await server?.close()
      server = undefined
      await naming.close()
      documents.close()
    },
  }
}
