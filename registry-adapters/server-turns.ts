/**
 * Several servers of which one is spoken to at a time: when it is gone the next one has its turn, after a pause that
 * grows, a share of it by chance, so that a whole fleet does not come at once.
 */
import type { ServiceKey } from '../contracts/endpoint.ts'
import { MeshError } from '../contracts/errors.ts'
import type { AdapterDeps } from '../contracts/registry-adapter.ts'
import type { DesiredState } from './desired-state.ts'

const firstPauseMs = 250
const lastPauseMs = 10_000

export interface ServerTurnsDeps<Server> extends Pick<AdapterDeps, 'clock' | 'log' | 'metrics' | 'random'> {
  readonly registry: string
  /** At least one. */
  readonly servers: readonly Server[]
  /** What they are, for people: `center`. */
  readonly role: string
  readonly state: DesiredState
  /** Speaks to `current`; calls `heard` and `lost`, the latter at once where it cannot even begin. */
  readonly open: () => void
}

export class ServerTurns<Server> {
  private readonly deps: ServerTurnsDeps<Server>
  private at: number
  private failures = 0
  private cancelRetry: (() => void) | undefined
  private isClosed = false
  /** Since the last loss. */
  isHeard = false
  /** undefined = all is well. */
  problem: MeshError | undefined

  constructor(deps: ServerTurnsDeps<Server>) {
    this.deps = deps
    this.at = Math.floor(deps.random() * deps.servers.length)
    this.problem = new MeshError('E_REGISTRY_UNREACHABLE', `no ${deps.role} has answered yet`)
  }

  get current(): Server {
    const { servers } = this.deps
    return servers[this.at % servers.length]!
  }

  start(): void {
    if (!this.isClosed) this.deps.open()
  }

  close(): void {
    this.isClosed = true
    this.cancelRetry?.()
  }

  /** `server`: for people. */
  heard(server: string): void {
    if (this.isHeard) return
    const { log, registry, state } = this.deps
    this.isHeard = true
    this.failures = 0
    if (this.problem !== undefined) log.info({ registry }, `${registry}: ${server} answers`)
    this.problem = undefined
    state.back()
  }

  lost(problem: MeshError): void {
    if (this.isClosed) return
    const { clock, log, metrics, random, registry, state } = this.deps
    this.at++
    if (this.isHeard || this.failures === 0) {
      log.warn({ registry, code: problem.code }, `${registry}: ${problem.message}`)
      metrics.count('registry_absences', { registry })
    }
    this.isHeard = false
    this.problem = problem
    state.lost(problem)
    const pause = Math.min(lastPauseMs, firstPauseMs * 2 ** Math.min(this.failures++, 10))
    this.cancelRetry = clock.after(pause * (0.5 + random() / 2), () => this.deps.open())
  }

  /** Tells somebody who asks while no server is there. Before the first attempt has ended nothing is lost. */
  answer(key: ServiceKey): void {
    if (this.failures > 0 && this.problem !== undefined) this.deps.state.answerLost(key, this.problem)
  }
}
