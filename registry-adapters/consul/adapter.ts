/** Consul as a registry: blocking queries by the health API, registration at the local agent with TTL checks. */
import { parseServiceName, serviceKey } from '../../contracts/endpoint.ts'
import type { ServiceKey, ServiceName } from '../../contracts/endpoint.ts'
import { MeshError } from '../../contracts/errors.ts'
import type {
  AdapterDeps,
  EndpointListener,
  Registration,
  RegistrationHandle,
  RegistryAdapter,
  RegistryProblem,
  RegistryStatus,
  Subscription,
} from '../../contracts/registry-adapter.ts'
import { HttpClient, jsonOf } from '../http/http-client.ts'
import type { HttpAnswer } from '../http/http-client.ts'
import { KeptRegistrations } from '../kept-registrations.ts'
import { Pulse } from '../pulse.ts'
import { WatchedServices } from '../watched-services.ts'
import type { ConsulAdapterConfig } from './config.ts'
import { ConsulApi } from './consul-api.ts'
import { InstanceDriver } from './instance-driver.ts'
import { readInstances } from './read-instances.ts'
import { ServicePolls } from './service-polls.ts'

const timeoutMs = 5000

export class ConsulAdapter implements RegistryAdapter {
  readonly name: string
  readonly type = 'consul'
  readonly config = undefined
  readonly #config: ConsulAdapterConfig
  readonly #deps: AdapterDeps
  readonly #http: HttpClient
  readonly #api: ConsulApi
  readonly #services: WatchedServices
  readonly #polls: ServicePolls
  readonly #registrations: KeptRegistrations
  readonly #pulse: Pulse
  /** Why a service cannot be read although Consul answers. */
  readonly #refusals = new Map<ServiceKey, RegistryProblem>()

  constructor(config: ConsulAdapterConfig, deps: AdapterDeps) {
    this.name = config.name
    this.#config = config
    this.#deps = deps
    this.#http = new HttpClient({
      servers: config.servers,
      tls: config.tls,
      clock: deps.clock,
      random: deps.random,
      headers: () => {
        const token = config.token()
        return token === undefined ? {} : { 'x-consul-token': token }
      },
    })
    this.#api = new ConsulApi(this.#http, config)
    this.#services = new WatchedServices({
      ...deps,
      registry: config.name,
      maxEndpoints: config.maxEndpoints,
      onWanted: (key, service) => this.#want(key, service),
      onDoubt: (key) => this.#polls.again(key),
      onUnwanted: (key) => {
        this.#refusals.delete(key)
        this.#polls.remove(key)
      },
    })
    this.#polls = new ServicePolls({
      waitMs: config.waitMs,
      clock: deps.clock,
      random: deps.random,
      ask: (name, index, waitMs, signal) => this.#ask(name, index, waitMs, signal),
      onAnswer: (key, answer) => this.#answered(key, answer),
      onFailure: (key, error) => this.#failed(key, error),
    })
    this.#registrations = new KeptRegistrations(config.name, new InstanceDriver(this.#api), deps)
    this.#pulse = new Pulse(
      {
        registry: config.name,
        everyMs: config.pulseMs,
        retryMs: Math.min(1000, config.pulseMs),
        ask: async () => {
          // an empty leader is a cluster that cannot answer
          const answer = await this.#api.ask('/v1/status/leader', {}, { timeoutMs })
          if (jsonOf(answer, 'the leader') === '') throw new MeshError('E_REGISTRY_UNREACHABLE', 'Consul has no leader')
        },
        onLost: (problem) => this.#lost(problem),
        onBack: () => this.#back(),
      },
      deps,
    )
  }

  start(): void {
    this.#pulse.start()
  }

  subscribe(service: ServiceName, listener: EndpointListener): Subscription {
    return this.#services.subscribe(service, listener)
  }

  register(registration: Registration): RegistrationHandle {
    if (!this.#isOurs(registration.service))
      throw new MeshError(
        'E_CONFIG_INVALID',
        `${serviceKey(registration.service)}: registry ${this.name} has one namespace and group, ${this.#config.namespace}/${this.#config.group}`,
      )
    return this.#registrations.register(registration)
  }

  async listServices(limit: number, signal: AbortSignal): Promise<ServiceKey[]> {
    const answer = await this.#api.ask('/v1/catalog/services', {}, { timeoutMs, signal })
    const json = jsonOf(answer, 'the services')
    const { namespace, group } = this.#config
    return Object.keys(json !== null && typeof json === 'object' ? json : {})
      .filter((name) => parseServiceName(name) !== undefined)
      .sort()
      .slice(0, limit)
      .map((name) => serviceKey({ namespace, group, name }))
  }

  status(): RegistryStatus {
    const { problem, isAlive } = this.#pulse
    const isRefused = this.#services.size > 0 && this.#refusals.size === this.#services.size
    return {
      name: this.name,
      type: this.type,
      // an answer to what we asked, not a living server
      connected: isAlive && !isRefused,
      server: isAlive ? this.#http.server : undefined,
      problem:
        problem === undefined
          ? this.#refusals.values().next().value
          : { code: problem.code, message: problem.message, at: this.#deps.clock.wall() },
      subscriptions: this.#services.size,
      registrations: this.#registrations.size,
      lastHeardAt: this.#services.lastHeardAt,
    }
  }

  async close(): Promise<void> {
    this.#services.close()
    this.#pulse.close()
    this.#polls.close()
    await this.#registrations.close()
    this.#http.close()
  }

  #want(key: ServiceKey, service: ServiceName): void {
    if (!this.#isOurs(service)) {
      setImmediate(() => this.#services.publish(key, []))
      return
    }
    this.#polls.add(key, service.name)
    const { isLost, problem } = this.#pulse
    if (isLost && problem !== undefined) setImmediate(() => this.#services.lose(this.#words(problem), key))
  }

  #isOurs(service: ServiceName): boolean {
    return service.namespace === this.#config.namespace && service.group === this.#config.group
  }

  #ask(name: string, index: bigint, waitMs: number, signal: AbortSignal): Promise<HttpAnswer> {
    const waits: Record<string, string> = index === 0n ? {} : { index: String(index), wait: `${waitMs}ms` }
    // Consul adds up to a sixteenth to the wait
    const patience = (index === 0n ? 0 : Math.ceil(waitMs * 1.0625)) + timeoutMs
    return this.#api.ask(
      `/v1/health/service/${encodeURIComponent(name)}`,
      { stale: '', ...waits },
      { timeoutMs: patience, signal },
    )
  }

  #answered(key: ServiceKey, answer: HttpAnswer): void {
    let read: ReturnType<typeof readInstances>
    try {
      read = readInstances(jsonOf(answer, 'the instances'))
      if (read === undefined) throw new MeshError('E_REGISTRY_PROTOCOL', 'the instances are no list')
    } catch (error) {
      this.#failed(key, error as MeshError)
      return
    }
    if (read.refused > 0) {
      this.#deps.metrics.count('registry_entries_refused', { registry: this.name }, read.refused)
      this.#deps.log.warn(
        { registry: this.name, service: key, refused: read.refused },
        `${key}: ${read.refused} instances make no sense and are left out; the others are used`,
      )
      // a list of which nothing can be read is no list
      if (read.endpoints.length === 0) return
    }
    this.#refusals.delete(key)
    this.#services.publish(key, read.endpoints, this.#config.protectThreshold)
  }

  #failed(key: ServiceKey, error: MeshError): void {
    // the pulse decides whether Consul is away
    if (error.code === 'E_REGISTRY_UNREACHABLE' || error.code === 'E_REGISTRY_TIMEOUT') {
      this.#pulse.now()
      return
    }
    const problem = this.#words(error)
    this.#refusals.set(key, problem)
    this.#services.lose(problem, key)
  }

  #lost(problem: MeshError): void {
    this.#polls.pause()
    this.#registrations.lost()
    this.#services.lose(this.#words(problem))
  }

  #back(): void {
    this.#services.begin()
    this.#refusals.clear()
    this.#polls.resume()
    this.#registrations.again()
  }

  #words(error: MeshError): RegistryProblem {
    return { code: error.code, message: error.message, at: this.#deps.clock.wall() }
  }
}
