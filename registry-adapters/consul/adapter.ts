/** Consul as a registry: blocking queries by the health API, registration at the local agent with TTL checks. */
import type { ServiceKey, ServiceName } from '../../contracts/endpoint.ts'
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
import { HttpClient, jsonOf } from '../http/http-client.ts'
import type { HttpAnswer } from '../http/http-client.ts'
import { OneGroup } from '../one-group.ts'
import { Pulse } from '../pulse.ts'
import type { ConsulAdapterConfig } from './config.ts'
import { ConsulApi } from './consul-api.ts'
import { InstanceDriver } from './instance-driver.ts'
import { readInstances } from './read-instances.ts'
import { ServicePolls } from './service-polls.ts'

const timeoutMs = 5000
/** A list of more entries than this many times the bound on endpoints is cut before anything of it is looked at. */
const lookedAtShare = 2

export class ConsulAdapter implements RegistryAdapter {
  readonly name: string
  readonly type = 'consul'
  readonly config = undefined
  private readonly settings: ConsulAdapterConfig
  private readonly deps: AdapterDeps
  private readonly http: HttpClient
  private readonly api: ConsulApi
  private readonly naming: OneGroup
  private readonly state: DesiredState
  private readonly polls: ServicePolls
  private readonly pulse: Pulse

  constructor(config: ConsulAdapterConfig, deps: AdapterDeps) {
    this.name = config.name
    this.settings = config
    this.deps = deps
    this.http = new HttpClient({
      servers: config.servers,
      tls: config.tls,
      clock: deps.clock,
      random: deps.random,
      headers: () => {
        const token = config.token()
        return token === undefined ? {} : { 'x-consul-token': token }
      },
    })
    this.api = new ConsulApi(this.http, config)
    this.naming = new OneGroup(config)
    this.state = new DesiredState(
      {
        registry: config.name,
        maxEndpoints: config.maxEndpoints,
        driver: new InstanceDriver(this.api),
        onWanted: (key, service) => this.want(key, service),
        onDoubt: (key) => this.polls.again(key),
        onUnwanted: (key) => this.polls.remove(key),
      },
      deps,
    )
    this.polls = new ServicePolls({
      waitMs: config.waitMs,
      clock: deps.clock,
      random: deps.random,
      ask: (name, index, waitMs, signal) => this.ask(name, index, waitMs, signal),
      onAnswer: (key, answer) => this.answered(key, answer),
      onFailure: (key, error) => this.failed(key, error),
    })
    this.pulse = new Pulse(
      {
        registry: config.name,
        everyMs: config.pulseMs,
        ask: async () => {
          // an empty leader is a cluster that cannot answer
          const answer = await this.api.ask('/v1/status/leader', {}, { timeoutMs })
          if (jsonOf(answer, 'the leader') === '') throw new MeshError('E_REGISTRY_UNREACHABLE', 'Consul has no leader')
        },
        onLost: (problem) => this.lost(problem),
        onBack: () => this.back(),
      },
      deps,
    )
  }

  start(): void {
    this.pulse.start()
  }

  subscribe(service: ServiceName, listener: EndpointListener): Subscription {
    return this.state.services.subscribe(service, listener)
  }

  register(registration: Registration): RegistrationHandle {
    this.naming.check(registration.service)
    return this.state.registrations.register(registration)
  }

  async listServices(limit: number, signal: AbortSignal): Promise<ServiceKey[]> {
    const answer = await this.api.ask('/v1/catalog/services', {}, { timeoutMs, signal })
    const json = jsonOf(answer, 'the services')
    return this.naming.keys(Object.keys(json !== null && typeof json === 'object' ? json : {}), limit)
  }

  status(): RegistryStatus {
    const { isAlive, problem } = this.pulse
    return this.state.status({
      type: this.type,
      connected: isAlive && !this.state.isAllRefused,
      server: isAlive ? this.http.server : undefined,
      problem: this.state.problem(problem),
    })
  }

  async close(): Promise<void> {
    this.state.services.close()
    this.pulse.close()
    this.polls.close()
    await this.state.registrations.close()
    this.http.close()
  }

  private want(key: ServiceKey, service: ServiceName): void {
    if (!this.naming.has(service)) {
      this.state.answerNothing(key)
      return
    }
    this.polls.add(key, service.name)
    const { isLost, problem } = this.pulse
    if (isLost && problem !== undefined) this.state.answerLost(key, problem)
  }

  private ask(name: string, index: bigint, waitMs: number, signal: AbortSignal): Promise<HttpAnswer> {
    const waits: Record<string, string> = index === 0n ? {} : { index: String(index), wait: `${waitMs}ms` }
    // Consul adds up to a sixteenth to the wait
    const patience = (index === 0n ? 0 : Math.ceil(waitMs * 1.0625)) + timeoutMs
    return this.api.ask(
      `/v1/health/service/${encodeURIComponent(name)}`,
      { stale: '', ...waits },
      { timeoutMs: patience, signal },
    )
  }

  private answered(key: ServiceKey, answer: HttpAnswer): void {
    let read: ReturnType<typeof readInstances>
    try {
      read = readInstances(jsonOf(answer, 'the instances'), this.settings.maxEndpoints * lookedAtShare)
      if (read === undefined) throw new MeshError('E_REGISTRY_PROTOCOL', 'the instances are no list')
    } catch (error) {
      this.failed(key, error as MeshError)
      return
    }
    if (read.refused > 0) {
      this.deps.metrics.count('registry_entries_refused', { registry: this.name }, read.refused)
      this.deps.log.warn(
        { registry: this.name, service: key, refused: read.refused },
        `${key}: ${read.refused} instances make no sense and are left out; the others are used`,
      )
      // a list of which nothing can be read is no list
      if (read.endpoints.length === 0) {
        this.state.refused(
          key,
          new MeshError('E_REGISTRY_PROTOCOL', `${key}: none of ${read.refused} instances makes sense`),
        )
        return
      }
    }
    this.state.taken(key)
    this.state.services.publish(key, read.endpoints, this.settings.protectThreshold)
  }

  private failed(key: ServiceKey, error: MeshError): void {
    // the pulse decides whether Consul is away
    if (error.code === 'E_REGISTRY_UNREACHABLE' || error.code === 'E_REGISTRY_TIMEOUT') {
      this.pulse.now()
      return
    }
    this.state.refused(key, error)
  }

  private lost(problem: MeshError): void {
    this.polls.pause()
    this.state.lost(problem)
  }

  private back(): void {
    this.state.back()
    this.polls.resume()
  }
}
