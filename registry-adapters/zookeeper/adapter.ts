/**
 * ZooKeeper as a registry: sessions and watches from `session.ts`, the shape of the tree from a layout, lists and
 * registrations kept as every adapter keeps them.
 */
import type { ServiceKey, ServiceName } from '../../contracts/endpoint.ts'
import type { MeshError } from '../../contracts/errors.ts'
import type { AdapterDeps, RegistryStatus } from '../../contracts/registry-adapter.ts'
import { ListAdapter } from '../list-adapter.ts'
import { OneGroup } from '../one-group.ts'
import type { ZooKeeperAdapterConfig } from './config.ts'
import { InstanceDriver } from './instance-driver.ts'
import { layouts } from './layouts/index.ts'
import type { Layout } from './layouts/layout.ts'
import { ZooKeeperNodes } from './nodes.ts'
import { ServiceWatch } from './service-watch.ts'
import { ZooKeeperSession } from './session.ts'

export class ZooKeeperAdapter extends ListAdapter {
  readonly type = 'zookeeper'
  private readonly settings: ZooKeeperAdapterConfig
  private readonly layout: Layout
  private readonly session: ZooKeeperSession
  private readonly nodes: ZooKeeperNodes
  private readonly naming: OneGroup
  private readonly watches = new Map<ServiceKey, ServiceWatch>()
  /** The same by their node: several services may read one (an interface, and one version of it). */
  private readonly byDirectory = new Map<string, Set<ServiceWatch>>()
  private isLost = false

  constructor(config: ZooKeeperAdapterConfig, deps: AdapterDeps) {
    const layout = layouts[config.layout].create(config.root ?? layouts[config.layout].root)
    const session = new ZooKeeperSession(
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
        onAlive: () => {
          if (!this.state.isAllRefused) this.state.services.alive()
        },
      },
      deps,
    )
    const nodes = new ZooKeeperNodes(session, () => config.auth() !== undefined)
    super(config, new InstanceDriver(layout, nodes, session), deps)
    this.settings = config
    this.layout = layout
    this.session = session
    this.nodes = nodes
    this.naming = new OneGroup(config)
  }

  start(): void {
    this.session.start()
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
    return this.state.status({
      type: this.type,
      connected: connection !== undefined && this.state.services.lastHeardAt > 0 && !this.state.isAllRefused,
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

  protected canHave(service: ServiceName): boolean {
    return this.naming.has(service)
  }

  protected checkAnnounced(service: ServiceName): void {
    this.naming.check(service)
  }

  protected again(key: ServiceKey): void {
    this.watches.get(key)?.refresh()
  }

  protected want(key: ServiceKey, service: ServiceName): void {
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

  protected release(key: ServiceKey): void {
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
