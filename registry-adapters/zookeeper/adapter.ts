/** ZooKeeper as a registry: sessions and watches from `session.ts`, the shape of the tree from a layout, lists and registrations kept as every adapter keeps them. */
import { serviceKey } from '../../contracts/endpoint.ts'
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
import { parseServiceName } from '../../contracts/endpoint.ts'
import { KeptRegistrations } from '../kept-registrations.ts'
import { WatchedServices } from '../watched-services.ts'
import type { ZooKeeperAdapterConfig } from './config.ts'
import { InstanceDriver } from './instance-driver.ts'
import { layouts } from './layouts/index.ts'
import type { Layout } from './layouts/layout.ts'
import { ZooKeeperNodes } from './nodes.ts'
import { ServiceWatch } from './service-watch.ts'
import { ZooKeeperSession } from './session.ts'

export class ZooKeeperAdapter implements RegistryAdapter {
  readonly name: string
  readonly type = 'zookeeper'
  readonly config = undefined
  readonly #config: ZooKeeperAdapterConfig
  readonly #deps: AdapterDeps
  readonly #layout: Layout
  readonly #session: ZooKeeperSession
  readonly #nodes: ZooKeeperNodes
  readonly #services: WatchedServices
  readonly #registrations: KeptRegistrations
  readonly #watches = new Map<ServiceKey, ServiceWatch>()
  /** The same by their node: several services may read one (an interface, and one version of it). */
  readonly #byDirectory = new Map<string, Set<ServiceWatch>>()
  /** Why a service cannot be read although a server answers. */
  readonly #refusals = new Map<ServiceKey, RegistryProblem>()
  #isLost = false

  constructor(config: ZooKeeperAdapterConfig, deps: AdapterDeps) {
    this.name = config.name
    this.#config = config
    this.#deps = deps
    this.#layout = layouts[config.layout].create(config.root ?? layouts[config.layout].root)
    this.#session = new ZooKeeperSession(
      {
        registry: config.name,
        servers: config.servers,
        tls: config.tls,
        auth: config.auth,
        sessionTimeoutMs: config.sessionTimeoutMs,
      },
      {
        onConnected: () => this.#connected(),
        onLost: (problem) => this.#lost(problem),
        onEvent: (_type, path) => this.#event(path),
      },
      deps,
    )
    this.#nodes = new ZooKeeperNodes(this.#session, () => config.auth() !== undefined)
    this.#services = new WatchedServices({
      ...deps,
      registry: config.name,
      maxEndpoints: config.maxEndpoints,
      onWanted: (key, service) => this.#want(key, service),
      onDoubt: (key) => this.#watches.get(key)?.refresh(),
      onUnwanted: (key) => this.#release(key),
    })
    const driver = new InstanceDriver(this.#layout, this.#nodes, this.#session)
    this.#registrations = new KeptRegistrations(config.name, driver, deps)
  }

  start(): void {
    this.#session.start()
  }

  subscribe(service: ServiceName, listener: EndpointListener): Subscription {
    return this.#services.subscribe(service, listener)
  }

  register(registration: Registration): RegistrationHandle {
    const { service } = registration
    if (!this.#isOurs(service))
      throw new MeshError(
        'E_CONFIG_INVALID',
        `${serviceKey(service)}: registry ${this.name} has one namespace and group, ${this.#config.namespace}/${this.#config.group}`,
      )
    return this.#registrations.register(registration)
  }

  async listServices(limit: number): Promise<ServiceKey[]> {
    const { namespace, group } = this.#config
    const names = (await this.#nodes.children(this.#layout.root)) ?? []
    return names
      .map((name) => this.#layout.nameOf(name))
      .filter((name) => parseServiceName(name) !== undefined)
      .sort()
      .slice(0, limit)
      .map((name) => serviceKey({ namespace, group, name }))
  }

  status(): RegistryStatus {
    const { connection, problem } = this.#session
    const lost: RegistryProblem | undefined =
      connection !== undefined || problem === undefined
        ? this.#refusals.values().next().value
        : { code: problem.code, message: problem.message, at: this.#deps.clock.wall() }
    return {
      name: this.name,
      type: this.type,
      // an answer to what we asked, not a living connection
      connected: connection !== undefined && this.#services.lastHeardAt > 0 && !this.#isRefused,
      server: connection?.server,
      problem: lost,
      subscriptions: this.#services.size,
      registrations: this.#registrations.size,
      lastHeardAt: this.#services.lastHeardAt,
    }
  }

  async close(): Promise<void> {
    this.#services.close()
    for (const watch of this.#watches.values()) watch.close()
    const isFinal = this.#registrations.size === 0
    await this.#registrations.close()
    // applications that were not deregistered live on until the session ends
    await this.#session.close(isFinal)
  }

  #want(key: ServiceKey, service: ServiceName): void {
    if (!this.#isOurs(service)) {
      setImmediate(() => this.#services.publish(key, []))
      return
    }
    const watch = new ServiceWatch(key, service.name, {
      ...this.#deps,
      registry: this.name,
      layout: this.#layout,
      nodes: this.#nodes,
      maxEndpoints: this.#config.maxEndpoints,
      onEndpoints: (of, endpoints) => {
        this.#refusals.delete(of)
        this.#services.publish(of, endpoints)
      },
      onProblem: (of, error) => {
        const problem = { code: error.code, message: error.message, at: this.#deps.clock.wall() }
        this.#refusals.set(of, problem)
        this.#services.lose(problem, of)
      },
    })
    this.#watches.set(key, watch)
    const others = this.#byDirectory.get(watch.directory) ?? new Set()
    this.#byDirectory.set(watch.directory, others.add(watch))
    if (this.#session.connection !== undefined) watch.read()
    else if (this.#isLost) setImmediate(() => this.#tellLost(key))
  }

  #release(key: ServiceKey): void {
    const watch = this.#watches.get(key)
    if (watch === undefined) return
    watch.close()
    this.#watches.delete(key)
    this.#refusals.delete(key)
    const others = this.#byDirectory.get(watch.directory)
    others?.delete(watch)
    if (others?.size === 0) this.#byDirectory.delete(watch.directory)
  }

  /** A server answers, and refuses every service that is asked for. */
  get #isRefused(): boolean {
    return this.#watches.size > 0 && this.#refusals.size === this.#watches.size
  }

  #isOurs(service: ServiceName): boolean {
    return service.namespace === this.#config.namespace && service.group === this.#config.group
  }

  #connected(): void {
    this.#isLost = false
    this.#services.begin()
    this.#refusals.clear()
    for (const watch of this.#watches.values()) watch.refresh()
    // what lived with an earlier session is gone, and what was changed meanwhile is not told yet
    this.#registrations.again()
  }

  #lost(problem: MeshError): void {
    this.#isLost = true
    this.#registrations.lost()
    this.#services.lose({ code: problem.code, message: problem.message, at: this.#deps.clock.wall() })
  }

  #tellLost(key: ServiceKey): void {
    const { problem } = this.#session
    if (this.#isLost && problem !== undefined)
      this.#services.lose({ code: problem.code, message: problem.message, at: this.#deps.clock.wall() }, key)
  }

  #event(path: string): void {
    const whole = this.#byDirectory.get(path)
    if (whole !== undefined) for (const watch of whole) watch.changed(undefined)
    const slash = path.lastIndexOf('/')
    const parent = this.#byDirectory.get(path.slice(0, slash))
    if (parent !== undefined) for (const watch of parent) watch.changed(path.slice(slash + 1))
  }
}
