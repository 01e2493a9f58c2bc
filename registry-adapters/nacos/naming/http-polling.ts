/**
 * When services are asked for over HTTP: while no server speaks gRPC with us (1.x, a closed port), or always where the
 * configuration says so. Servers that spoke gRPC before are probably restarting, so HTTP is tried only after some
 * rounds without them. A gRPC connection that comes ends it.
 */
import { MeshError } from '../../../contracts/errors.ts'
import type { ServiceName } from '../../../contracts/endpoint.ts'
import type { AdapterDeps } from '../../../contracts/registry-adapter.ts'
import type { NacosTimes } from '../config.ts'
import { Nudges } from '../legacy/nudges.ts'
import type { ServerList, NacosMember } from '../server-list/server-list.ts'
import type { HttpNaming } from './http-naming.ts'
import { httpTransport } from './transports.ts'
import type { HttpTransport } from './transports.ts'

export interface HttpPollingDeps extends AdapterDeps {
  readonly registry: string
  readonly namespace: string
  /** `http`: gRPC is never tried, and servers are looked for until one answers. */
  readonly transport: 'auto' | 'grpc' | 'http'
  /** Whether servers of this kind may tell of changes over UDP: not with credentials or TLS. */
  readonly mayNudge: boolean
  readonly times: NacosTimes
  readonly servers: ServerList
  readonly naming: HttpNaming
  readonly hasGrpc: () => boolean
  readonly closing: AbortSignal
  /** From now on services are asked for there. */
  readonly onBegin: (transport: HttpTransport) => void
  /** No server answers over HTTP either, or not any more. */
  readonly onLost: (problem: MeshError) => void
  /** Somebody hinted at a change. */
  readonly onHint: (service: ServiceName) => void
}

/** Rounds over all servers without one that speaks gRPC, where they did before. */
const patienceRounds = 4

export class HttpPolling {
  private readonly deps: HttpPollingDeps
  private readonly nudges: Nudges
  private current: HttpTransport | undefined
  private isTrying = false
  /** Why the last look for a server found none, where it was a refusal. */
  private refusal: MeshError | undefined

  constructor(deps: HttpPollingDeps) {
    this.deps = deps
    this.nudges = new Nudges({ ...deps, registry: deps.registry })
  }

  /** undefined = services are not asked for over HTTP now. */
  get transport(): HttpTransport | undefined {
    return this.current
  }

  /** Looks for a server until one answers. */
  async start(): Promise<void> {
    const { registry, closing, clock, random, times, onLost } = this.deps
    while (!closing.aborted && !(await this.try())) {
      onLost(
        this.refusal ?? new MeshError('E_REGISTRY_UNREACHABLE', `registry ${registry}: no server answers over HTTP`),
      )
      await new Promise<void>((resolve) => {
        const done = (): void => {
          cancel()
          closing.removeEventListener('abort', done)
          resolve()
        }
        const cancel = clock.after(times.reconnectMinMs * (1 + random()), done)
        closing.addEventListener('abort', done, { once: true })
      })
    }
  }

  /** No server speaks gRPC with us. One that speaks HTTP is good enough until one does. */
  async grpcFailed(problem: MeshError, hadGrpc: boolean, failedRounds: number): Promise<void> {
    // an earlier round is still asking over HTTP: it says what comes of it
    if (this.current !== undefined || this.isTrying) return
    const isWorthATry = this.deps.transport !== 'grpc' && (!hadGrpc || failedRounds >= patienceRounds)
    const isUp = isWorthATry && (await this.try())
    if (isUp || this.deps.hasGrpc() || this.deps.closing.aborted) return
    this.deps.onLost(problem)
  }

  end(): void {
    if (this.current === undefined) return
    this.current.close()
    this.current = undefined
    this.nudges.end()
    this.deps.metrics.gauge('registry_http_only', { registry: this.deps.registry }, 0)
  }

  private async try(): Promise<boolean> {
    if (this.isTrying) return false
    this.isTrying = true
    const { naming, namespace, servers, closing, hasGrpc } = this.deps
    try {
      for (const server of servers.inRandomOrder()) {
        try {
          await naming.list(server, { namespace, group: 'DEFAULT_GROUP', name: 'hostmesh' }, closing)
        } catch (error) {
          if (error instanceof MeshError && error.code === 'E_REGISTRY_DENIED') this.refusal = error
          continue
        }
        this.refusal = undefined
        if (hasGrpc() || closing.aborted) return false
        this.begin(server)
        return true
      }
      return false
    } finally {
      this.isTrying = false
    }
  }

  private begin(server: NacosMember): void {
    const { naming, servers, times, registry, log, metrics } = this.deps
    const begun = httpTransport(
      naming,
      servers,
      server,
      times.httpPollMs,
      (problem) => this.lost(begun, problem),
      this.nudges,
    )
    this.current = begun
    if (this.deps.mayNudge && naming.apiOf(server) === 'v1') void this.nudges.begin()
    metrics.gauge('registry_http_only', { registry }, 1)
    log.warn(
      { registry, server: server.id, api: naming.apiOf(server) },
      'this Nacos answers HTTP but not gRPC; asking it for changes instead of being told, until gRPC works',
    )
    this.deps.onBegin(begun)
  }

  private lost(transport: HttpTransport, problem: MeshError): void {
    if (this.current !== transport) return
    this.end()
    this.deps.onLost(problem)
    if (this.deps.transport === 'http') void this.start()
  }
}
