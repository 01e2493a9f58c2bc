/** What this host still waits for, and what its workers say about their listeners. */
import { serviceKey } from '../../../contracts/endpoint.ts'
import type { RegistryAdapter } from '../../../contracts/registry-adapter.ts'
import type { AgentConfig } from '../config/types.ts'
import type { EndpointDirectory } from '../core/endpoints/directory.ts'
import type { Listeners } from './listeners/listeners.ts'
import type { Publisher } from '../core/snapshot/publisher.ts'

export interface HostReadinessDeps {
  readonly adapters: readonly RegistryAdapter[]
  readonly directory: EndpointDirectory
  readonly publisher: Publisher
  readonly listeners: Listeners
  config(): AgentConfig
}

export class HostReadiness {
  private readonly deps: HostReadinessDeps
  private wasReady = false

  constructor(deps: HostReadinessDeps) {
    this.deps = deps
  }

  /**
   * By name what is not ready yet; empty = ready. The first time all workers count; later one is enough, because the
   * others are being replaced.
   */
  pending(): string[] {
    const waits: string[] = []
    const workers = this.deps.publisher.states().filter((worker) => worker.version > 0)
    const expected = this.deps.config().workers
    if (!this.wasReady) {
      for (let index = 0; index < expected; index++)
        if (!workers.some((worker) => worker.index === index)) waits.push(`worker ${index}: has no snapshot yet`)
    } else if (workers.length === 0) waits.push('workers: none is connected')
    waits.push(...this.pendingServices())
    if (waits.length === 0) this.wasReady = true
    return waits
  }

  /** Configured services whose registry has neither answered nor been lost, and that no disk knows. */
  pendingServices(): string[] {
    const { adapters, directory } = this.deps
    const waits: string[] = []
    for (const { service } of this.deps.config().outbound.services) {
      const key = serviceKey(service)
      const view = directory.view(key)
      if (view === undefined || view.isAnswered || view.set !== undefined) continue
      const silent = adapters.filter((adapter) => directory.problemOf(adapter.name) === undefined)
      if (silent.length > 0) waits.push(`${key}: first answer of ${silent.map((adapter) => adapter.name).join(', ')}`)
    }
    return waits
  }

  /** What workers say about a listener. */
  listenerProblem(name: string): string | undefined {
    for (const worker of this.deps.publisher.states()) {
      const problem = worker.problems.find((one) => one.listener === name)
      if (problem !== undefined) return `${problem.code}  ${problem.message}`
    }
    return undefined
  }

  /** Each worker has bound, or tried to bind, this listener at its port of now; also where there is no worker. */
  isTried(name: string): boolean {
    const since = this.deps.listeners.since(name)
    return this.deps.publisher.states().every(({ version, isListening }) => isListening && version >= since)
  }

  /**
   * `listening` once a worker has bound the listeners of a snapshot that holds this one and does not complain about it.
   */
  listenerState(name: string): 'listening' | 'waiting' | 'failed' {
    if (this.listenerProblem(name) !== undefined) return 'failed'
    const since = this.deps.listeners.since(name)
    const hasHeard = this.deps.publisher
      .states()
      .some(({ version, isListening }) => isListening && version >= since && version > 0)
    return hasHeard ? 'listening' : 'waiting'
  }
}
