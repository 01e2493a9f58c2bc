/**
 * Whether the registry is reached, over gRPC or HTTP, and what it means for discovery when that changes: a connection
 * lost, an outage of all servers, the first answer after it. Also the last word of the registry and the newest reason
 * why there is none.
 */
import { MeshError } from '../../contracts/errors.ts'
import type { AdapterDeps, RegistryProblem } from '../../contracts/registry-adapter.ts'
import type { NamingTransport } from './naming/naming-watch.ts'
import type { Trouble } from './server-list/trouble.ts'

export interface ReachDeps extends Pick<AdapterDeps, 'clock'> {
  readonly registry: string
  readonly trouble: Trouble
  /** There is but one server. */
  readonly isLone: () => boolean
  readonly onConnected: (transport: NamingTransport, isAfterOutage: boolean) => void
  readonly onLost: (problem: MeshError) => void
}

export class Reach {
  private readonly deps: ReachDeps
  /** Who waits for the first server that answers. */
  private readonly waiting = new Set<() => void>()
  private hasOutage = false
  private heardAt = 0
  private lastProblem: { readonly error: MeshError; readonly at: number } | undefined
  /** A server spoke gRPC with us before. */
  hadGrpc = false

  constructor(deps: ReachDeps) {
    this.deps = deps
  }

  /** Epoch ms of the last word about services or documents; heartbeats of registrations do not count. */
  get lastHeardAt(): number {
    return this.heardAt
  }

  get problem(): RegistryProblem | undefined {
    return (
      this.lastProblem && {
        code: this.lastProblem.error.code,
        message: this.lastProblem.error.message,
        at: this.lastProblem.at,
      }
    )
  }

  heard(): void {
    this.heardAt = this.deps.clock.wall()
  }

  overGrpc(transport: NamingTransport, server: string): void {
    if (this.hadGrpc) this.deps.trouble.sign('moved', server)
    this.hadGrpc = true
    this.connected(transport)
  }

  overHttp(transport: NamingTransport): void {
    this.heard()
    this.connected(transport)
  }

  /** The gRPC connection ended. */
  grpcLost(problem: MeshError): void {
    // a lone server that cut us off may have been restarted in the meantime, and nobody else can tell what it forgot
    if (this.deps.isLone()) this.hasOutage = true
    this.deps.trouble.sign('lost', undefined)
    this.lost(problem)
  }

  /** No server answers, in no way. */
  allLost(problem: MeshError): void {
    this.hasOutage = true
    this.lost(problem)
  }

  /** Resolves with the first server that answers; rejects with what stood in the way when the caller gives up. */
  whenConnected(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        this.waiting.delete(done)
        signal.removeEventListener('abort', giveUp)
        resolve()
      }
      const giveUp = (): void => {
        this.waiting.delete(done)
        const message = `registry ${this.deps.registry}: no server was reached in time`
        reject(this.lastProblem?.error ?? new MeshError('E_REGISTRY_TIMEOUT', message))
      }
      if (signal.aborted) return giveUp()
      this.waiting.add(done)
      signal.addEventListener('abort', giveUp, { once: true })
    })
  }

  private connected(transport: NamingTransport): void {
    this.lastProblem = undefined
    this.deps.onConnected(transport, this.hasOutage)
    this.hasOutage = false
    for (const done of this.waiting) done()
  }

  private lost(problem: MeshError): void {
    this.lastProblem = { error: problem, at: this.deps.clock.wall() }
    this.deps.onLost(problem)
  }
}
