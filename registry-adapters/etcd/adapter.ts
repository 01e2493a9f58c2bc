/** etcd as a registry: one list per service that is wanted, one watch over the whole prefix, applications as keys with leases. */
import { parseServiceName, serviceKey } from '../../contracts/endpoint.ts'
import type { Endpoint, ServiceKey, ServiceName } from '../../contracts/endpoint.ts'
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
import { HttpClient } from '../http/http-client.ts'
import { KeptRegistrations } from '../kept-registrations.ts'
import { readPlainInstance } from '../plain-instance.ts'
import { Pulse } from '../pulse.ts'
import { WatchedServices } from '../watched-services.ts'
import type { EtcdAdapterConfig } from './config.ts'
import { EtcdApi } from './etcd-api.ts'
import type { WatchWord } from './etcd-api.ts'
import { InstanceDriver } from './instance-driver.ts'

/** etcd says something every ten minutes at least, when asked to (`progress_notify`). */
const watchSilenceMs = 660_000
const watchRetryMs = 500
/** Lists that are asked for at the same time. */
const maxQuestions = 32

interface Listed {
  readonly service: string
  /** By key. */
  readonly instances: Map<string, Endpoint>
  /** Changes that came while the list was asked for. */
  isListing: boolean
  missed: WatchWord['events'][number][]
}

export class EtcdAdapter implements RegistryAdapter {
  readonly name: string
  readonly type = 'etcd'
  readonly config = undefined
  readonly #config: EtcdAdapterConfig
  readonly #deps: AdapterDeps
  readonly #http: HttpClient
  readonly #api: EtcdApi
  readonly #services: WatchedServices
  readonly #registrations: KeptRegistrations
  readonly #pulse: Pulse
  readonly #listed = new Map<ServiceKey, Listed>()
  readonly #refusals = new Map<ServiceKey, RegistryProblem>()
  #waiting: ServiceKey[] = []
  #questions = 0
  #watch: AbortController | undefined
  #isClosed = false

  constructor(config: EtcdAdapterConfig, deps: AdapterDeps) {
    this.name = config.name
    this.#config = config
    this.#deps = deps
    this.#http = new HttpClient({
      servers: config.servers,
      tls: config.tls,
      clock: deps.clock,
      random: deps.random,
      headers: () => (this.#api.token === undefined ? {} : { authorization: this.#api.token }),
    })
    this.#api = new EtcdApi(this.#http, config.credentials)
    this.#services = new WatchedServices({
      ...deps,
      registry: config.name,
      maxEndpoints: config.maxEndpoints,
      onWanted: (key, service) => this.#want(key, service),
      onDoubt: (key) => this.#ask(key),
      onUnwanted: (key) => {
        this.#listed.delete(key)
        this.#refusals.delete(key)
      },
    })
    this.#registrations = new KeptRegistrations(
      config.name,
      new InstanceDriver(this.#api, config.prefix, config.leaseMs),
      deps,
    )
    this.#pulse = new Pulse(
      {
        registry: config.name,
        everyMs: config.pulseMs,
        retryMs: Math.min(1000, config.pulseMs),
        ask: () => this.#api.ping(),
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
    const { prefix, namespace, group } = this.#config
    const { kvs } = await this.#api.list(`${prefix}/`, signal)
    const names = new Set(kvs.map(({ key }) => key.slice(prefix.length + 1).split('/')[0]!))
    return [...names]
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
      connected: isAlive && !isRefused,
      server: isAlive ? this.#http.server : undefined,
      problem: problem === undefined ? this.#refusals.values().next().value : this.#words(problem),
      subscriptions: this.#services.size,
      registrations: this.#registrations.size,
      lastHeardAt: this.#services.lastHeardAt,
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#services.close()
    this.#pulse.close()
    this.#watch?.abort()
    await this.#registrations.close()
    this.#http.close()
  }

  #want(key: ServiceKey, service: ServiceName): void {
    if (!this.#isOurs(service)) {
      setImmediate(() => this.#services.publish(key, []))
      return
    }
    this.#listed.set(key, { service: service.name, instances: new Map(), isListing: false, missed: [] })
    const { isAlive, isLost, problem } = this.#pulse
    if (isAlive) this.#ask(key)
    else if (isLost && problem !== undefined) setImmediate(() => this.#services.lose(this.#words(problem), key))
  }

  #isOurs(service: ServiceName): boolean {
    return service.namespace === this.#config.namespace && service.group === this.#config.group
  }

  #ask(key: ServiceKey): void {
    if (!this.#waiting.includes(key)) this.#waiting.push(key)
    this.#go()
  }

  #go(): void {
    while (this.#questions < maxQuestions && this.#waiting.length > 0) {
      const key = this.#waiting.shift()!
      const listed = this.#listed.get(key)
      if (listed !== undefined && !listed.isListing) void this.#list(key, listed)
    }
  }

  async #list(key: ServiceKey, listed: Listed): Promise<void> {
    this.#questions++
    listed.isListing = true
    listed.missed = []
    try {
      const { kvs } = await this.#api.list(`${this.#config.prefix}/${listed.service}/`)
      if (this.#listed.get(key) !== listed) return
      const present = new Set(kvs.map((kv) => kv.key))
      for (const known of listed.instances.keys()) if (!present.has(known)) listed.instances.delete(known)
      for (const kv of kvs) this.#take(key, listed, kv.key, kv.value)
      // the list may be older than what the watch said meanwhile, never newer by less than that
      for (const event of listed.missed) this.#apply(key, listed, event)
      this.#refusals.delete(key)
      this.#services.publish(key, listed.instances.values())
    } catch (error) {
      this.#failed(key, error as MeshError)
    } finally {
      listed.isListing = false
      this.#questions--
      this.#go()
    }
  }

  #take(key: ServiceKey, listed: Listed, node: string, value: string): void {
    const endpoint = readPlainInstance(value)
    if (endpoint !== undefined) {
      listed.instances.set(node, endpoint)
      return
    }
    this.#deps.metrics.count('registry_entries_refused', { registry: this.name })
    this.#deps.log.warn(
      { registry: this.name, service: key, node: node.slice(0, 300) },
      listed.instances.has(node)
        ? `${key}: an instance makes no sense any more; its last good content stays in use`
        : `${key}: an instance makes no sense and is left out; the others are used`,
    )
  }

  #apply(key: ServiceKey, listed: Listed, event: WatchWord['events'][number]): void {
    if (event.isRemoval) listed.instances.delete(event.key)
    else this.#take(key, listed, event.key, event.value)
  }

  #lost(problem: MeshError): void {
    this.#watch?.abort()
    this.#registrations.lost()
    this.#services.lose(this.#words(problem))
  }

  #back(): void {
    this.#services.begin()
    this.#refusals.clear()
    this.#registrations.again()
    void this.#watchAll()
  }

  /** Watches first and lists then, so that nothing falls between the two; again and again, until the registry is lost. */
  async #watchAll(): Promise<void> {
    this.#watch?.abort()
    const watch = new AbortController()
    this.#watch = watch
    while (!watch.signal.aborted && !this.#isClosed) {
      try {
        const { revision } = await this.#api.list(`${this.#config.prefix}/\0`, watch.signal)
        const isOver = this.#api.watch(`${this.#config.prefix}/`, revision + 1n, watchSilenceMs, watch.signal, (word) =>
          this.#heard(word),
        )
        for (const key of this.#listed.keys()) this.#ask(key)
        await isOver
      } catch (error) {
        if (watch.signal.aborted) return
        this.#deps.log.debug({ registry: this.name }, `the watch ended: ${(error as MeshError).message}`)
        this.#pulse.now()
      }
      await new Promise<void>((resolve) => this.#deps.clock.after(watchRetryMs, resolve))
    }
  }

  #heard(word: WatchWord): void {
    const changed = new Set<ServiceKey>()
    const { prefix, namespace, group } = this.#config
    for (const event of word.events) {
      const name = event.key.slice(prefix.length + 1).split('/')[0]!
      const key = serviceKey({ namespace, group, name })
      const listed = this.#listed.get(key)
      if (listed === undefined) continue
      if (listed.isListing) listed.missed.push(event)
      else {
        this.#apply(key, listed, event)
        changed.add(key)
      }
    }
    for (const key of changed) this.#services.publish(key, this.#listed.get(key)!.instances.values())
  }

  #failed(key: ServiceKey, error: MeshError): void {
    if (this.#isClosed) return
    if (error.code === 'E_REGISTRY_UNREACHABLE' || error.code === 'E_REGISTRY_TIMEOUT') {
      this.#pulse.now()
      this.#deps.clock.after(watchRetryMs, () => {
        if (this.#pulse.isAlive) this.#ask(key)
      })
      return
    }
    const problem = this.#words(error)
    this.#refusals.set(key, problem)
    this.#services.lose(problem, key)
    this.#deps.clock.after(10_000, () => {
      if (this.#refusals.has(key)) this.#ask(key)
    })
  }

  #words(error: MeshError): RegistryProblem {
    return { code: error.code, message: error.message, at: this.#deps.clock.wall() }
  }
}
