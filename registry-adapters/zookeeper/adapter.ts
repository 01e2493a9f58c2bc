/**
 * ZooKeeper as a registry: sessions and watches from `session.ts`, the shape of the tree from a layout, lists and
 * registrations kept as every adapter keeps them.
 */
import type { ServiceKey, ServiceName } from '../../contracts/endpoint.ts'
import type { MeshError } from '../../contracts/errors.ts'
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
import { OneGroup } from '../one-group.ts'
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
  private readonly settings: ZooKeeperAdapterConfig
  private readonly deps: AdapterDeps
  private readonly layout: Layout
  private readonly session: ZooKeeperSession
  private readonly nodes: ZooKeeperNodes
  private readonly naming: OneGroup
  private readonly state: DesiredState
  private readonly watches = new Map<ServiceKey, ServiceWatch>()
  /** The same by their node: several services may read one (an interface, and one version of it). */
  private readonly byDirectory = new Map<string, Set<ServiceWatch>>()
  private isLost = false

  constructor(config: ZooKeeperAdapterConfig, deps: AdapterDeps) {
    this.name = config.name
    this.settings = config
    this.deps = deps
    this.layout = layouts[config.layout].create(config.root ?? layouts[config.layout].root)
    this.session = new ZooKeeperSession(
      {
        registry: config.name,
        servers: config.servers,
        tls: config.tls,
        auth: config.auth,
        sessionTimeoutMs: config.sessionTimeoutMs,
      },
      {
        onConnected: () => this.connected(),
        onLost: (problem) => this.lost(problem),
        onEvent: (_type, path) => this.event(path),
      },
      deps,
    )
    this.nodes = new ZooKeeperNodes(this.session, () => config.auth() !== undefined)
    this.naming = new OneGroup(config)
    this.state = new DesiredState(
      {
        registry: config.name,
        maxEndpoints: config.maxEndpoints,
        driver: new InstanceDriver(this.layout, this.nodes, this.session),
        onWanted: (key, service) => this.want(key, service),
        onDoubt: (key) => this.watches.get(key)?.refresh(),
        onUnwanted: (key) => this.release(key),
      },
      deps,
    )
  }

  start(): void {
    this.session.start()
  }

  subscribe(service: ServiceName, listener: EndpointListener): Subscription {
    return this.state.services.subscribe(service, listener)
  }

  register(registration: Registration): RegistrationHandle {
    this.naming.check(registration.service)
    return this.state.registrations.register(registration)
  }

  async listServices(limit: number): Promise<ServiceKey[]> {
    // asked right after the start nobody has answered yet
    await this.session.settled()
    const names = (await this.nodes.children(this.layout.root)) ?? []
    return this.naming.keys(
      names.map((name) => this.layout.nameOf(name)),
      limit,
    )
  }

  status(): RegistryStatus {
    const { connection, problem } = this.session
    const isAllRefused = this.watches.size > 0 && this.state.refusals === this.watches.size
    return this.state.status({
      type: this.type,
      connected: connection !== undefined && this.state.services.lastHeardAt > 0 && !isAllRefused,
      server: connection?.server,
      problem: this.state.problem(connection === undefined ? problem : undefined),
    })
  }

  async close(): Promise<void> {
    this.state.services.close()
    for (const watch of this.watches.values()) watch.close()
    const isFinal = this.state.registrations.size === 0
    await this.state.registrations.close()
    // applications that were not deregistered live on until the session ends
    await this.session.close(isFinal)
  }

  private want(key: ServiceKey, service: ServiceName): void {
    if (!this.naming.has(service)) {
      this.state.answerNothing(key)
      return
    }
    const watch = new ServiceWatch(key, service.name, {
      ...this.deps,
      registry: this.name,
      layout: this.layout,
      nodes: this.nodes,
      maxEndpoints: this.settings.maxEndpoints,
      onEndpoints: (of, endpoints) => {
        this.state.taken(of)
        this.state.services.publish(of, endpoints)
      },
      onProblem: (of, error) => this.state.refused(of, error),
    })
    this.watches.set(key, watch)
    const others = this.byDirectory.get(watch.directory) ?? new Set()
    this.byDirectory.set(watch.directory, others.add(watch))
    if (this.session.connection !== undefined) watch.read()
    else if (this.isLost) setImmediate(() => this.tellLost(key))
  }

  private release(key: ServiceKey): void {
    const watch = this.watches.get(key)
    if (watch === undefined) return
    watch.close()
    this.watches.delete(key)
    const others = this.byDirectory.get(watch.directory)
    others?.delete(watch)
    if (others?.size === 0) this.byDirectory.delete(watch.directory)
  }

  private connected(): void {
    this.isLost = false
    // what lived with an earlier session is gone, and what was changed meanwhile is not told yet
    this.state.back()
    for (const watch of this.watches.values()) watch.refresh()
  }

  private lost(problem: MeshError): void {
    this.isLost = true
    this.state.lost(problem)
  }

  private tellLost(key: ServiceKey): void {
    const { problem } = this.session
    if (this.isLost && problem !== undefined) this.state.services.lose(this.state.problemOf(problem), key)
  }

  private event(path: string): void {
    const whole = this.byDirectory.get(path)
    if (whole !== undefined) for (const watch of whole) watch.changed(undefined)
    const slash = path.lastIndexOf('/')
    const parent = this.byDirectory.get(path.slice(0, slash))
    if (parent !== undefined) for (const watch of parent) watch.changed(path.slice(slash + 1))
  }
}
