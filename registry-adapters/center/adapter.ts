/**
 * A center as a registry: one stream for everything that this host uses. A center that is gone is followed by the next
 * one; what is known is named by its version there, and is not sent again.
 */
import { parseServiceName, type ServiceKey, type ServiceName } from '../../contracts/endpoint.ts'
import { MeshError } from '../../contracts/errors.ts'
import type {
  AdapterDeps,
  EndpointListener,
  Registration,
  RegistrationHandle,
  RegistryAdapter,
  RegistryStatus,
  Subscription,
} from '../../contracts/registry-adapter.ts'
import { DesiredState } from '../desired-state.ts'
import { CarriedRules } from './carried-rules.ts'
import type { CenterAdapterConfig } from './config.ts'
import { CenterStream } from './stream.ts'
import { typeUrls, type DeltaResponse } from './wire/delta.ts'
import { decodeAssignment, type Assignment } from './wire/load-assignment.ts'

/**
 * Pause before the next center is tried, ms: a share of it by chance, growing, so that a whole fleet does not come at
 * once.
 */
const firstPauseMs = 250
const lastPauseMs = 10_000

interface Known {
  readonly version: string
  readonly assignment: Assignment | undefined
}

export class CenterAdapter implements RegistryAdapter {
  readonly name: string
  readonly type = 'center'
  readonly config = undefined
  readonly rules: CarriedRules
  private readonly settings: CenterAdapterConfig
  private readonly deps: AdapterDeps
  private readonly state: DesiredState
  private readonly known = new Map<ServiceKey, Known>()
  private readonly ruleVersions = new Map<string, string>()
  private stream: CenterStream | undefined
  private isHeard = false
  /** The center has not spoken yet of what was known before this stream. */
  private isConfirming = false
  private problem: MeshError | undefined = new MeshError('E_REGISTRY_UNREACHABLE', 'no center has answered yet')
  private next: number
  private failures = 0
  private cancelRetry: (() => void) | undefined
  private isClosed = false

  constructor(config: CenterAdapterConfig, deps: AdapterDeps) {
    this.name = config.name
    this.settings = config
    this.deps = deps
    this.next = Math.floor(deps.random() * config.servers.length)
    this.rules = new CarriedRules({
      onWanted: (added, dropped) => {
        for (const name of dropped) this.ruleVersions.delete(name)
        this.stream?.send({ typeUrl: typeUrls.rules, subscribe: added, unsubscribe: dropped })
      },
    })
    this.state = new DesiredState(
      {
        registry: config.name,
        maxEndpoints: config.maxEndpoints,
        driver: undefined,
        onWanted: (key) => this.want(key),
        // a stream tells every change by itself; asking again brings the same once more
        onDoubt: (key) => this.again(key),
        onUnwanted: (key) => {
          this.known.delete(key)
          this.stream?.send({ typeUrl: typeUrls.endpoints, unsubscribe: [key] })
        },
      },
      deps,
    )
  }

  start(): void {
    if (!this.isClosed) this.open()
  }

  subscribe(service: ServiceName, listener: EndpointListener): Subscription {
    return this.state.services.subscribe(service, listener)
  }

  register(registration: Registration): RegistrationHandle {
    return this.state.registrations.register(registration)
  }

  /** A center does not say which services it could find. */
  listServices(): Promise<ServiceKey[]> {
    return Promise.resolve([])
  }

  status(): RegistryStatus {
    return this.state.status({
      type: this.type,
      connected: this.isHeard,
      server: this.stream?.server,
      problem: this.state.problem(this.problem),
    })
  }

  close(): Promise<void> {
    this.isClosed = true
    this.cancelRetry?.()
    this.stream?.close()
    this.rules.close()
    this.state.services.close()
    return Promise.resolve()
  }

  private open(): void {
    const { servers, node } = this.settings
    const at = servers[this.next++ % servers.length]!
    let stream: CenterStream
    try {
      stream = new CenterStream(this.settings, at, {
        onResponse: (response) => this.take(response),
        onEnd: (problem) => this.lost(problem),
      })
    } catch (error) {
      // a certificate or token that cannot be read
      return this.lost(
        error instanceof MeshError ? error : new MeshError('E_REGISTRY_DENIED', (error as Error).message),
      )
    }
    this.stream = stream
    this.isConfirming = true
    const versions = [...this.known].map(([key, { version }]) => [key, version] as const)
    stream.send({
      node,
      typeUrl: typeUrls.endpoints,
      subscribe: [...this.state.services.keys()],
      initialVersions: new Map(versions),
    })
    stream.send({ typeUrl: typeUrls.rules, subscribe: this.rules.names(), initialVersions: this.ruleVersions })
  }

  private want(key: ServiceKey): void {
    this.stream?.send({ typeUrl: typeUrls.endpoints, subscribe: [key] })
    // before the first attempt has ended nothing is lost
    if (this.failures > 0 && this.problem !== undefined) this.state.answerLost(key, this.problem)
  }

  private again(key: ServiceKey): void {
    this.stream?.send({ typeUrl: typeUrls.endpoints, subscribe: [key] })
  }

  /** Throws RangeError for the first resource that makes no sense; those before it are taken. */
  private take({ typeUrl, resources, removed }: DeltaResponse): void {
    if (!this.isHeard) this.heard()
    if (typeUrl === typeUrls.rules) {
      for (const { name, version, value } of resources) {
        this.rules.take(name, value)
        this.ruleVersions.set(name, version)
      }
      for (const name of removed) this.rules.take(name, undefined)
      return
    }
    if (typeUrl !== typeUrls.endpoints)
      throw new RangeError(`found type ${typeUrl.slice(0, 200)}, which nobody asked for`)
    const news = new Set(resources.map(({ name }) => name))
    for (const { name, version, value } of resources) {
      const key = name as ServiceKey
      if (parseServiceName(name) === undefined || !this.state.services.has(key)) continue
      const assignment = decodeAssignment(value)
      this.known.set(key, { version, assignment })
      this.state.services.publish(key, assignment.endpoints, assignment.protectThreshold)
    }
    for (const name of removed) this.state.services.publish(name as ServiceKey, [])
    if (!this.isConfirming) return
    // what the center does not send again is as it was
    this.isConfirming = false
    for (const [key, { assignment }] of this.known)
      if (!news.has(key) && assignment !== undefined)
        this.state.services.publish(key, assignment.endpoints, assignment.protectThreshold)
  }

  private heard(): void {
    this.isHeard = true
    this.failures = 0
    if (this.problem !== undefined)
      this.deps.log.info({ registry: this.name }, `${this.name}: ${this.stream!.server} answers`)
    this.problem = undefined
    this.state.back()
  }

  private lost(problem: MeshError): void {
    if (this.isClosed) return
    this.stream = undefined
    if (this.isHeard || this.failures === 0) {
      this.deps.log.warn({ registry: this.name, code: problem.code }, `${this.name}: ${problem.message}`)
      this.deps.metrics.count('registry_absences', { registry: this.name })
    }
    this.isHeard = false
    this.problem = problem
    this.state.lost(problem)
    const pause = Math.min(lastPauseMs, firstPauseMs * 2 ** Math.min(this.failures++, 10))
    this.cancelRetry = this.deps.clock.after(pause * (0.5 + this.deps.random() / 2), () => this.open())
  }
}
