/** The Nacos face: unmodified Nacos clients on this host join the mesh by pointing them at it. */
import type { AppProtocol } from '../../../contracts/endpoint.ts'
import type { FaceDeps } from './face-deps.ts'

export type { FaceApplication, FaceDeps, FaceEndpoint, FaceServiceListener } from './face-deps.ts'

export interface NacosFaceConfig {
  /** Loopback address to listen on. */
  readonly host: string
  /** HTTP port, 8848 by custom; 0 = any. */
  readonly port: number
  /** gRPC port; clients compute it as HTTP port + 1000 and cannot be told otherwise. Default: port + 1000, or any for port 0. */
  readonly grpcPort?: number
  /** How long an application whose connection broke, or that a former face had registered, stays announced; ms, default 30_000. */
  readonly reconnectGraceMs?: number
  /** What an application speaks that did not say so in `hostmesh.protocol`; default tcp, which carries anything. */
  readonly defaultProtocol?: AppProtocol
}

export interface NacosFaceStatus {
  readonly port: number
  readonly grpcPort: number
  readonly connections: number
  readonly applications: number
  readonly subscriptions: number
}

export interface NacosFace {
  /** Listens on both ports. Rejects with E_LISTEN_IN_USE or E_LISTEN_DENIED; nothing is left open then. */
  start(): Promise<void>
  status(): NacosFaceStatus
  /** Closes ports, connections and timers. Deregisters nothing: the next face of this host takes the applications over. */
  close(): Promise<void>
}

/** The face with the mesh behind it. Opens nothing before `start()`. */
export function createNacosFace(config: NacosFaceConfig, deps: FaceDeps): NacosFace {
  void config
  void deps
  throw new Error('the face is not built yet')
}
