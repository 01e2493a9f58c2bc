/** What an application holds in its hands. */
import type { EventEmitter } from 'node:events'
import type { RpcCodec } from '../rpc/codec.ts'
import type { Mode } from './options.ts'
import type { MeshStatus, ServiceEndpoints, ActiveMode } from './status.ts'

export interface Mesh {
  /** For `fetch(url, { dispatcher })` and everything else of undici that takes one. */
  readonly dispatcher: MeshDispatcher
  /** `fetch` of this Node, whose hosts are services: `mesh.fetch('http://orders/v1/items')`. */
  readonly fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>
  /** A client of a private RPC; the same for each call with a codec of this name. */
  rpc(codec: RpcCodec): RpcClient
  /**
   * Announces an instance of this application until `deregister()`. Throws E_CONFIG_INVALID, E_ROUTE_NAME_NOT_ALLOWED.
   */
  register(options: RegisterOptions): Registered
  /**
   * Hears the endpoints of a service at once and at each change, from wherever its calls go now. The answer ends it.
   */
  subscribe(service: string, listener: (endpoints: ServiceEndpoints) => void): () => void
  /**
   * The mode from now on, of one service or of the whole application; it stands above options and key. undefined takes
   * it back. A change takes effect when the other mode can serve; `status()` says what it waits for.
   */
  setMode(mode: Mode | undefined, service?: string): void
  /** Until the agent was asked once, whatever it said: the first call then knows where to go. */
  ready(): Promise<void>
  status(): MeshStatus
  /** Takes registrations back, ends connections and timers, writes what is not written. Calls under way fail. */
  close(): Promise<void>
}

export interface MeshDispatcher extends EventEmitter {
  readonly closed: boolean
  readonly destroyed: boolean
  /** As undici's: never throws for what a call meets, the handler hears everything. */
  dispatch(options: object, handler: object): boolean
  close(callback?: () => void): Promise<void>
  destroy(error?: Error | null | (() => void), callback?: () => void): Promise<void>
}

export interface RegisterOptions {
  readonly service: string
  /** Where the application listens. */
  readonly port: number
  /** An address of this host that callers reach; default: the first that is not loopback. */
  readonly address?: string
  /** 0 to 10,000; default 1. */
  readonly weight?: number
  readonly cluster?: string
  /** `http`, `grpc`, `bolt`, …; default: bytes are carried as they are. */
  readonly protocol?: string
  readonly metadata?: Readonly<Record<string, string>>
  /** Default true. */
  readonly healthy?: boolean
}

export interface Registered {
  readonly service: string
  /** `registered`: callers can hear of it. */
  readonly state: 'pending' | 'registered' | 'failing'
  /** Where it is announced now; undefined = nowhere yet. */
  readonly activeMode: ActiveMode | undefined
  /** Why it is not announced where it should be. */
  readonly problem: string | undefined
  /** Tells callers whether this instance takes calls; nothing else is changed. */
  setHealthy(healthy: boolean): void
  update(change: {
    readonly weight?: number
    readonly healthy?: boolean
    readonly metadata?: Readonly<Record<string, string>>
  }): void
  /** Takes it back everywhere. Resolves when that is confirmed or 3 s are over. */
  deregister(): Promise<void>
}

export interface RpcCallOptions {
  /** The call may be sent a second time when the first one may have been read. Default false. */
  readonly idempotent?: boolean
  /** ms, 1 to 2^31 - 1; default: what the frame says, else 30,000. */
  readonly timeoutMs?: number
}

export interface RpcClient {
  readonly codec: RpcCodec
  /**
   * Sends the request `frame`, whole and in the codec's protocol, under an id of its own, and answers the reply frame
   * under the caller's id; an empty buffer for a request that has no reply. Error replies, also those of the mesh, are
   * replies. Rejects with a MeshError: `retry` says whether anything may have been read.
   */
  call(service: string, frame: Buffer, options?: RpcCallOptions): Promise<Buffer>
}
