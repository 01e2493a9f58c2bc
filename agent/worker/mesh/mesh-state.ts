import { endpointAt } from '../../../contracts/endpoint.ts'
import type { EndpointSet, ServiceKey } from '../../../contracts/endpoint.ts'
import { MeshError } from '../../../contracts/errors.ts'
import { FallbackAddresses } from '../../../contracts/fallback-addresses.ts'
import { endpointProtocol } from '../../../contracts/protocols.ts'
import type { AppProtocol, EndpointProtocol } from '../../../contracts/protocols.ts'
import { defaultTrafficPolicy } from '../../../contracts/policy-spec.ts'
import type {
  GatewayServerSpec,
  LimitsSpec,
  ListenerSpec,
  MeshSpec,
  NodeSpec,
  ServiceSpec,
  Snapshot,
  SnapshotDelta,
} from '../../../contracts/snapshot.ts'
import { defaultLimits, snapshotFormat } from '../../../contracts/snapshot.ts'
import { createCluster } from '../balance/cluster.ts'
import type { Cluster } from '../balance/types.ts'
import type { FilterTable } from '../filters/filter.ts'
import type { DestinationFacts } from '../route/explain.ts'
import type { PoolDeps } from '../connect/pool-deps.ts'
import { Upstream } from '../connect/upstream.ts'
import { splitAuthority } from '../route/authority.ts'
import { keyParts } from '../route/destination.ts'
import { GatewayTable } from '../route/gateway-table.ts'
import { NameTable } from '../route/name-table.ts'
import { ownVirtualHost } from '../route/own-host.ts'
import { RouteIds } from '../route/route-ids.ts'
import type { VirtualHost } from '../route/types.ts'
import { compileVirtualHost, releaseVirtualHost } from '../route/virtual-host.ts'
import { policyOf } from './service-policy.ts'

/** Authorities whose virtual host is remembered; beyond it the memory starts anew. */
const maxAuthorities = 4096
/** Whose endpoints the addresses of `x-mesh-fallback` are. */
export const fallbackService = 'fallback/x-mesh-fallback@@address' as ServiceKey

/** Addresses of `x-mesh-fallback` that are held as destinations at the same time; idle ones give way. */
export const maxFallbacks = 256

export interface MeshStateDeps {
  readonly pools: PoolDeps
  readonly filters: FilterTable
  readonly random: () => number
  /** Monotonic ms. */
  readonly now: () => number
  /** 1 / number of workers. */
  readonly limitShare: number
  readonly kinds: LateKinds
}

/** What is loaded when it is first needed. */
export interface LateKinds {
  /** Throws where something that these need cannot be loaded: nothing of them is in force then. */
  prepare(named: Pick<SnapshotDelta, 'listeners' | 'mesh' | 'services'>): void
  /** For what a caller asks for; false where it cannot be loaded. */
  canSpeak(protocol: EndpointProtocol): boolean
}

/** What changed beside the tables, so that the composition root can follow. */
export interface MeshStateEvents {
  onListeners(changed: ReadonlyMap<string, ListenerSpec | null>): void
  /** Node or mesh settings are different objects now. */
  onSettings(): void
  /** Names that have an answer now, or hosts that changed. */
  onNames(): void
}

const noNode: NodeSpec = { host: '', address: '', locality: { region: '', zone: '' }, tier: 'agent' }
const noMesh: MeshSpec = {
  limits: defaultLimits,
  accessLog: { format: 'off', path: '-', share: 1 },
  fallbackNetworks: [],
  sourceAppsByUid: {},
  tracing: { createMissing: false, sampledShare: 0 },
}

/**
 * Everything that a worker knows, as the data path reads it: compiled virtual hosts, names, and destinations with their
 * living state. Swapped in part by part: a change of one service costs one service, and its destinations keep their
 * connections and their memory of endpoints.
 */
export class MeshState {
  version = 0
  node: NodeSpec = noNode
  mesh: MeshSpec = noMesh
  limits: LimitsSpec = defaultLimits
  /** Our name in Via: the host's name as a token. */
  pseudonym = 'hostmesh'
  readonly names: NameTable = new NameTable()
  readonly routeIds: RouteIds = new RouteIds()
  readonly listeners = new Map<string, ListenerSpec>()
  private readonly gateways = new Map<string, GatewayTable>()
  private readonly deps: MeshStateDeps
  private readonly events: MeshStateEvents
  private readonly services = new Map<ServiceKey, ServiceSpec>()
  private readonly upstreams = new Map<string, Upstream>()
  /** Keys of `upstreams` by service. */
  private readonly keysOf = new Map<ServiceKey, Set<string>>()
  private readonly fallbacks = new Map<string, Upstream>()
  private readonly authorities = new Map<string, VirtualHost | null>()
  private fallbackAddresses = new FallbackAddresses([], [])

  constructor(deps: MeshStateDeps, events: MeshStateEvents) {
    this.deps = deps
    this.events = events
    const own = ownVirtualHost(this.routeIds, deps.filters)
    this.names.setHost(own.name, own)
  }

  // ---- what the data path asks

  /**
   * The destination of a route's cluster key, made at its first use; undefined for a service that the snapshot does not
   * hold.
   */
  upstream(key: string): Upstream | undefined {
    const known = this.upstreams.get(key)
    return known ?? this.createUpstream(key)
  }

  /** What the applications of a service speak; undefined = no service of the snapshot. */
  protocolOf(service: string): AppProtocol | undefined {
    return this.services.get(service as ServiceKey)?.protocol
  }

  /** null: the mesh does not know it; undefined: control has to be asked. */
  findAuthority(authority: string): VirtualHost | null | undefined {
    const known = this.authorities.get(authority)
    if (known !== undefined) return known
    const found = this.names.findAuthority(authority)
    if (found === undefined) return undefined
    if (this.authorities.size >= maxAuthorities) this.authorities.clear()
    this.authorities.set(authority, found)
    return found
  }

  /** What a port of a gateway has for the server name of a caller's TLS; '' = none. */
  gatewayServer(listener: string, serverName: string): GatewayServerSpec | undefined {
    return this.gateways.get(listener)?.server(serverName)
  }

  /** The virtual host there of a lower-case Host, with or without a port. */
  gatewayHost(listener: string, serverName: string, authority: string): string | undefined {
    return this.gateways.get(listener)?.host(serverName, authority)
  }

  withoutPort(authority: string): string {
    return splitAuthority(authority)[0]
  }

  /**
   * A destination for `address:port` that a caller named; null when it is no address or none that it may name, or
   * cannot be spoken to.
   */
  fallback(text: string, protocol: EndpointProtocol = 'http1'): Upstream | null {
    const [host, port] = splitAuthority(text)
    if (port === undefined) return null
    const address = this.fallbackAddresses.find(host.startsWith('[') ? host.slice(1, -1) : host, Number(port))
    if (address === undefined) return null
    const key = protocol === 'http1' ? `fallback|${address}|${port}` : `fallback|${protocol}|${address}|${port}`
    const known = this.fallbacks.get(key)
    if (known !== undefined) return known
    if (!this.deps.kinds.canSpeak(protocol)) return null
    if (this.fallbacks.size >= maxFallbacks) this.dropIdleFallback()
    const upstream = new Upstream(key, this.singleEndpoint(address, port), this.deps.pools, protocol)
    this.fallbacks.set(key, upstream)
    return upstream
  }

  /** These private RPCs are described anew: connections to endpoints that were made before take nobody new. */
  speakAnew(protocols: readonly string[]): void {
    for (const { pools } of this.everyUpstream()) if (protocols.includes(pools.protocol)) pools.retire()
  }

  serviceUpstreams(): Iterable<Upstream> {
    return this.upstreams.values()
  }

  /** Those of services, and the addresses that callers named as a fallback. */
  *everyUpstream(): Generator<Upstream> {
    yield* this.upstreams.values()
    yield* this.fallbacks.values()
  }

  /** What `explain` shows of a destination; one that is not in use yet is looked at without being kept. */
  describe(key: string, now: number): DestinationFacts | undefined {
    const cluster = this.upstreams.get(key)?.cluster ?? this.createCluster(key)
    if (cluster === undefined) return undefined
    return { candidates: cluster.candidates(now), note: cluster.portNote, policy: cluster.policy }
  }

  service(key: ServiceKey): ServiceSpec | undefined {
    return this.services.get(key)
  }

  /** Services that carry traffic or did since the last call, so that control keeps them subscribed. */
  takeUsedServices(): ServiceKey[] {
    const used = new Set<ServiceKey>()
    for (const upstream of this.upstreams.values()) {
      if (upstream.isInUse) used.add(upstream.cluster.service)
      upstream.reportedUses = upstream.uses
    }
    return [...used]
  }

  // ---- what control sends

  /**
   * Takes a whole snapshot. What it does not hold any more is removed; what stays keeps its state. E_WIRE for another
   * format, E_PART_MISSING where a part of the worker that it needs cannot be loaded.
   */
  load(snapshot: Snapshot): void {
    const format: number = snapshot.format
    if (format !== snapshotFormat) {
      throw new MeshError('E_WIRE', `snapshot of format ${format}, allowed ${snapshotFormat}; the one in hand stays`)
    }
    this.deps.kinds.prepare(snapshot)
    this.takeSettings(snapshot.node, snapshot.mesh)
    this.replaceAll(this.services, snapshot.services, (key, spec) => this.takeService(key, spec))
    const hosts = new Map([...this.names.hosts()].map((host) => [host.name, host.spec]))
    this.replaceAll(hosts, snapshot.virtualHosts, (name, spec) => this.takeHost(name, spec))
    this.names.replaceAnswers(snapshot.names)
    const listeners = new Map<string, ListenerSpec | null>()
    this.replaceAll(this.listeners, snapshot.listeners, (name, spec) => listeners.set(name, spec))
    this.version = snapshot.version
    this.settled(listeners, true)
  }

  /** E_WIRE when it does not follow on what we have: the whole snapshot is then needed. */
  apply(delta: SnapshotDelta): void {
    if (delta.baseVersion !== this.version) {
      throw new MeshError('E_WIRE', `delta from version ${delta.baseVersion}, this worker has ${this.version}`)
    }
    this.deps.kinds.prepare(delta)
    if (delta.node !== undefined || delta.mesh !== undefined) {
      this.takeSettings(delta.node ?? this.node, delta.mesh ?? this.mesh)
    }
    for (const [key, spec] of Object.entries(delta.services ?? {})) this.takeService(key as ServiceKey, spec)
    for (const [key, set] of Object.entries(delta.endpoints ?? {})) this.takeEndpoints(key as ServiceKey, set)
    for (const [name, spec] of Object.entries(delta.virtualHosts ?? {})) this.takeHost(name, spec)
    for (const [name, host] of Object.entries(delta.names ?? {})) this.names.setAnswer(name, host)
    for (const name of delta.forgottenNames ?? []) this.names.forgetAnswer(name)
    this.version = delta.version
    const hasNames = delta.names !== undefined || delta.virtualHosts !== undefined || delta.services !== undefined
    this.settled(new Map(Object.entries(delta.listeners ?? {})), hasNames || delta.forgottenNames !== undefined)
  }

  private settled(listeners: Map<string, ListenerSpec | null>, hasNames: boolean): void {
    for (const [name, spec] of listeners) {
      if (spec === null) this.listeners.delete(name)
      else this.listeners.set(name, spec)
      if (spec?.kind === 'gateway') this.gateways.set(name, new GatewayTable(spec.servers))
      else this.gateways.delete(name)
    }
    if (hasNames) this.authorities.clear()
    if (listeners.size > 0) this.events.onListeners(listeners)
    if (hasNames) this.events.onNames()
  }

  private replaceAll<T>(
    current: ReadonlyMap<string, T>,
    next: Readonly<Record<string, T>>,
    take: (key: never, value: T | null) => void,
  ): void {
    for (const key of current.keys()) if (!(key in next)) take(key as never, null)
    for (const [key, value] of Object.entries(next)) take(key as never, value)
  }

  private takeSettings(node: NodeSpec, mesh: MeshSpec): void {
    if (node.locality !== this.node.locality) {
      for (const upstream of this.upstreams.values()) {
        const spec = this.services.get(upstream.cluster.service)
        if (spec !== undefined)
          upstream.cluster.update(spec.endpoints, upstream.cluster.policy, this.deps.now(), undefined, node.locality)
      }
    }
    this.node = node
    this.mesh = mesh
    this.limits = mesh.limits
    this.pseudonym = node.host.replace(/[^A-Za-z0-9!#$%&'*+.^_`|~-]/g, '-') || 'hostmesh'
    this.fallbackAddresses = new FallbackAddresses(mesh.fallbackNetworks, mesh.ownAddresses ?? [])
    this.events.onSettings()
  }

  private takeHost(name: string, spec: VirtualHost['spec'] | null): void {
    const former = this.names.host(name)
    if (former?.spec === spec || former?.isOwn === true) return
    if (spec === null) {
      if (former !== undefined) releaseVirtualHost(former, this.routeIds)
      this.names.setHost(name, null)
      return
    }
    const { filters, limitShare, now } = this.deps
    const options = { ids: this.routeIds, now: now(), limitShare, filters, former }
    this.names.setHost(name, compileVirtualHost(spec, options))
  }

  private takeService(key: ServiceKey, spec: ServiceSpec | null): void {
    if (spec === null) {
      this.services.delete(key)
      for (const upstreamKey of this.keysOf.get(key) ?? []) {
        this.upstreams.get(upstreamKey)?.pools.close()
        this.upstreams.delete(upstreamKey)
      }
      this.keysOf.delete(key)
      return
    }
    this.services.set(key, spec)
    for (const upstreamKey of this.keysOf.get(key) ?? []) {
      const upstream = this.upstreams.get(upstreamKey)!
      const { subset, port } = keyParts(upstreamKey)
      const policy = policyOf(spec, subset, port)
      const labels = subset === undefined ? undefined : spec.subsets[subset]?.labels
      if (policy === undefined) {
        upstream.pools.close()
        this.upstreams.delete(upstreamKey)
        this.keysOf.get(key)!.delete(upstreamKey)
      } else {
        const { tls } = upstream.cluster.policy
        upstream.cluster.update(spec.endpoints, policy, this.deps.now(), labels)
        if (JSON.stringify(tls) !== JSON.stringify(policy.tls)) upstream.pools.retire()
        upstream.pools.speak(endpointProtocol(spec.protocol, policy.pool.upgradesToHttp2))
      }
    }
  }

  private takeEndpoints(key: ServiceKey, endpoints: EndpointSet): void {
    const spec = this.services.get(key)
    if (spec === undefined) return
    this.services.set(key, { ...spec, endpoints })
    for (const upstreamKey of this.keysOf.get(key) ?? []) {
      const { cluster } = this.upstreams.get(upstreamKey)!
      cluster.update(endpoints, cluster.policy, this.deps.now())
    }
  }

  private createUpstream(key: string): Upstream | undefined {
    const cluster = this.createCluster(key)
    if (cluster === undefined) return undefined
    const { protocol } = this.services.get(cluster.service)!
    const spoken = endpointProtocol(protocol, cluster.policy.pool.upgradesToHttp2)
    const upstream = new Upstream(key, cluster, this.deps.pools, spoken)
    this.upstreams.set(key, upstream)
    const keys = this.keysOf.get(cluster.service)
    if (keys === undefined) this.keysOf.set(cluster.service, new Set([key]))
    else keys.add(key)
    return upstream
  }

  private createCluster(key: string): Cluster | undefined {
    const { service, subset, port } = keyParts(key)
    const spec = this.services.get(service)
    if (spec === undefined) return undefined
    const policy = policyOf(spec, subset, port)
    if (policy === undefined) return undefined
    return createCluster({
      service,
      subset,
      labels: subset === undefined ? undefined : spec.subsets[subset]?.labels,
      port,
      own: this.node.locality,
      endpoints: spec.endpoints,
      policy,
      random: this.deps.random,
      now: this.deps.now(),
    })
  }

  private singleEndpoint(address: string, port: number) {
    return createCluster({
      service: fallbackService,
      own: this.node.locality,
      policy: { ...defaultTrafficPolicy, panicShare: 0 },
      random: this.deps.random,
      now: this.deps.now(),
      endpoints: {
        service: fallbackService,
        version: 1,
        protectThreshold: 0,
        registry: '',
        confirmedAt: 0,
        endpoints: [endpointAt(address, port)],
      },
    })
  }

  private dropIdleFallback(): void {
    for (const [key, upstream] of this.fallbacks) {
      if (upstream.cluster.numbers.activeRequests > 0) continue
      upstream.pools.close()
      this.fallbacks.delete(key)
      return
    }
  }
}
