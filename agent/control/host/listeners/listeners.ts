/**
 * The listeners of this host: the shared HTTP port, one localhost port per outbound service, one inbound port per local
 * application, and in a center the relay.
 *
 * Names are stable over restarts, because the watchdog holds sockets under them. A port that cannot be given costs that
 * one service or application its listener and names who has it; nothing else is touched.
 */
import { MeshError, describeError } from '../../../../contracts/errors.ts'
import { endpointAt, serviceKey, type ServiceKey } from '../../../../contracts/endpoint.ts'
import { isSameAddress } from '../../../../contracts/ip-literal.ts'
import type { AppProtocol, RpcProtocol } from '../../../../contracts/protocols.ts'
import { defaultTrafficPolicy, type TrafficPolicySpec } from '../../../../contracts/policy-spec.ts'
import { relayListenerName } from '../../../../contracts/handoff.ts'
import type { VirtualHostSpec } from '../../../../contracts/route-spec.ts'
import type { InboundMtls, ListenerSpec, ServiceSpec } from '../../../../contracts/snapshot.ts'
import { ownAddresses, type OwnAddress } from '../../config/own-addresses.ts'
import { formatPath } from '../../config/problem.ts'
import { formatHostPort, type HostPort } from '../../config/scalars.ts'
import type { AgentConfig } from '../../config/types.ts'
import { socketListeners } from './socket-listeners.ts'
import { PortAllocator } from '../ports/allocator.ts'
import type { Application } from '../applications/application.ts'
import { isAny } from '../applications/place.ts'
import { workloadLabels } from '../applications/source-apps.ts'
import { hasRulesBefore } from '../../core/rules/guards.ts'
import type { Rules } from '../../core/rules/types.ts'
import { inboundKeyOf } from '../../../../contracts/inbound-key.ts'
import type { SnapshotStore } from '../../core/snapshot/store.ts'

const sharedHttpListener = 'outbound-http'
const tunnelListener = 'outbound-tunnels'
const sharedRpcListener = (protocol: RpcProtocol, address: HostPort): string =>
  `outbound-${protocol} ${formatHostPort(address)}`
export const outboundListener = (key: ServiceKey): string => `outbound ${key}`
export const inboundListener = (applicationId: string): string => `inbound ${applicationId}`

export interface ListenerRow {
  readonly listener: string
  readonly direction: 'outbound' | 'inbound'
  readonly service: ServiceKey
  readonly address: string
  /** 0 = it could not be given one. */
  readonly port: number
  readonly protocol: AppProtocol
  readonly isPinned: boolean
  readonly problem: string | undefined
}

/** `ports.json`. */
export interface RememberedPorts {
  readonly outbound: Readonly<Record<string, number>>
  readonly inbound: Readonly<Record<string, number>>
}

export class Listeners {
  private readonly store: SnapshotStore
  private readonly rules: Pick<Rules, 'inboundPolicy' | 'inboundVirtualHost'>
  private readonly identityOf: (application: Application) => string | undefined
  private readonly outbound: PortAllocator
  private readonly inbound: PortAllocator
  private readonly rows = new Map<string, ListenerRow>()
  private readonly sinceVersion = new Map<string, number>()
  private readonly portsSince = new Map<string, number>()
  private rpcListeners: ReadonlySet<string> = new Set()
  private socketListeners: ReadonlySet<string> = new Set()
  private readonly mtlsOf: (application: Application) => InboundMtls | undefined
  private config: AgentConfig
  /** Asked for each endpoint of each change. */
  private own: readonly OwnAddress[]
  private deniedHosts: readonly string[]

  constructor(
    config: AgentConfig,
    remembered: RememberedPorts,
    store: SnapshotStore,
    rules: Pick<Rules, 'inboundPolicy' | 'inboundVirtualHost'>,
    identityOf: (application: Application) => string | undefined = () => undefined,
    mtlsOf: (application: Application) => InboundMtls | undefined = () => undefined,
    deniedHosts: readonly string[] = [],
  ) {
    this.deniedHosts = deniedHosts
    this.identityOf = identityOf
    this.config = config
    this.own = ownAddresses(config)
    this.store = store
    this.rules = rules
    this.mtlsOf = mtlsOf
    const taken = takenPorts(config)
    this.outbound = new PortAllocator(config.outbound.portRange, remembered.outbound, taken)
    this.inbound = new PortAllocator(config.inbound.portRange, remembered.inbound, taken)
  }

  /** The listeners that need no service: shared HTTP and relay. */
  setConfig(config: AgentConfig): void {
    this.config = config
    this.own = ownAddresses(config)
    const { http, tunnels } = config.outbound
    const at = ({ host, port }: HostPort) => ({ address: host, port, halfClosed: config.outbound.halfClosed })
    const shared = { name: sharedHttpListener, kind: 'shared-http', proxyProtocol: 'off' } as const
    this.store.setListener(
      sharedHttpListener,
      http === 'off' ? undefined : { ...shared, ...at(http), ...(tunnels.sharedPort ? { tunnels: true } : {}) },
    )
    this.store.setListener(
      tunnelListener,
      tunnels.address === undefined
        ? undefined
        : { ...shared, name: tunnelListener, ...at(tunnels.address), tunnels: true, isHeld: true },
    )
    this.rpcListeners = this.setAll(rpcListeners(config), this.rpcListeners)
    this.socketListeners = this.setAll(socketListeners(config), this.socketListeners)
    this.setRelay()
  }

  /** A center's relay listener takes these hosts no more, whatever certificate they show. */
  denyHosts(hosts: readonly string[]): void {
    if (hosts.join() === this.deniedHosts.join()) return
    this.deniedHosts = hosts
    this.setRelay()
  }

  private setRelay(): void {
    const { relay } = this.config
    this.store.setListener(
      relayListenerName,
      relay === undefined
        ? undefined
        : {
            name: relayListenerName,
            kind: 'relay',
            address: relay.address.host,
            port: relay.address.port,
            proxyProtocol: 'required',
            maxConnections: relay.maxConnections,
            maxConnectionsPerHost: relay.maxConnectionsPerHost,
            allowedNetworks: relay.allowedNetworks,
            secretFile: relay.secretFile,
            mtls: relay.mtls === 'disable' ? undefined : relay.mtls,
            hosts: relay.hosts,
            ...(this.deniedHosts.length === 0 ? {} : { deniedHosts: this.deniedHosts }),
          },
    )
  }

  /** In place of those before; answers their names. */
  private setAll(wanted: ReadonlyMap<string, ListenerSpec>, before: ReadonlySet<string>): ReadonlySet<string> {
    for (const name of before) if (!wanted.has(name)) this.store.setListener(name, undefined)
    for (const [name, spec] of wanted) this.store.setListener(name, spec)
    return new Set(wanted.keys())
  }

  /** The localhost port of a service. Undefined when it could not be given one; the row of `/ports` then says why. */
  addService(
    key: ServiceKey,
    virtualHost: ServiceKey,
    protocol: AppProtocol,
    pinned: number | undefined,
  ): number | undefined {
    const name = outboundListener(key)
    const { address } = this.config.outbound
    const row = this.give(
      this.outbound,
      { listener: name, direction: 'outbound', service: key, address, protocol },
      pinned,
      key,
    )
    this.store.setListener(
      name,
      row.port === 0
        ? undefined
        : {
            name,
            kind: 'service',
            address,
            port: row.port,
            proxyProtocol: 'off',
            protocol,
            service: key,
            virtualHost,
            halfClosed:
              this.config.outbound.services.find((one) => serviceKey(one.service) === key)?.halfClosed ??
              this.config.outbound.halfClosed,
          },
    )
    this.mark(name, row.port)
    return row.port === 0 ? undefined : row.port
  }

  removeService(key: ServiceKey): void {
    const name = outboundListener(key)
    this.store.setListener(name, undefined)
    this.rows.delete(name)
    this.sinceVersion.delete(name)
    this.portsSince.delete(name)
    this.outbound.release(key)
  }

  /** The inbound port of an application, with the virtual host and the service that lead to it. */
  addApplication(application: Application): number | undefined {
    const name = inboundListener(application.id)
    const { address } = this.config.inbound
    const service = serviceKey(application.service)
    const asked = { listener: name, direction: 'inbound', service, address, protocol: application.protocol } as const
    const problem = this.udpProblem(application)
    const row =
      problem === undefined
        ? this.give(this.inbound, asked, application.inboundPort, application.id)
        : this.refuse(asked, application, problem)
    if (row.port === 0) {
      this.clearInbound(application)
      return undefined
    }
    const key = inboundKey(application)
    const listener: ListenerSpec = {
      name,
      kind: 'inbound',
      address,
      port: row.port,
      proxyProtocol: 'off',
      protocol: application.protocol,
      service: key,
      virtualHost: key,
      app: application.service.name,
      halfClosed: application.halfClosed ?? this.config.inbound.halfClosed,
      applicationUser: application.listenerUser,
      mtls: this.mtlsOf(application),
      identity: this.identityOf(application),
    }
    this.compileInbound(application)
    this.store.setListener(name, listener)
    this.mark(name, row.port)
    return row.port
  }

  /** Rules may limit what comes in. */
  compileInbound(application: Application): void {
    const key = inboundKey(application)
    const policy = this.rules.inboundPolicy(serviceKey(application.service))
    this.store.setService(key, inboundService(key, application, this.config.limits.maxConnections, policy))
    this.store.setVirtualHost(key, this.inboundHost(application, this.rules))
  }

  /** What stands before an application by these rules. */
  inboundHost(application: Application, rules: Pick<Rules, 'inboundVirtualHost'>): VirtualHostSpec {
    const { port } = application
    const { address } = this.config.host
    const inbound = { key: inboundKey(application), labels: workloadLabels(application), address, port }
    return rules.inboundVirtualHost(serviceKey(application.service), inbound)
  }

  /** Whether anything stands before the application, which nobody may go around. */
  hasRulesBefore(application: Application): boolean {
    const key = inboundKey(application)
    return hasRulesBefore(this.store.virtualHost(key), this.store.service(key)?.policy)
  }

  removeApplication(application: Application): void {
    this.clearInbound(application)
    this.rows.delete(inboundListener(application.id))
    this.sinceVersion.delete(inboundListener(application.id))
    this.portsSince.delete(inboundListener(application.id))
    this.inbound.release(application.id)
  }

  /** The first snapshot version that holds the listener; a worker with it or a later one has heard of it. */
  since(name: string): number {
    return this.sinceVersion.get(name) ?? 0
  }

  /** Id of the local application whose inbound port this is. */
  applicationAt(port: number): string | undefined {
    const id = this.inbound.nameOf(port)
    return id !== undefined && this.rows.get(inboundListener(id))?.port === port ? id : undefined
  }

  /**
   * Whether a call to this address and port would come back to this agent: admin, shared port, relay, a localhost port.
   * Inbound ports are no loop: they lead to applications.
   */
  isOwn(address: string, port: number): boolean {
    const isHere = (host: string): boolean =>
      isSameAddress(host, address) || (isAny(host) && isSameAddress(address, this.config.host.address))
    if (this.own.some((one) => one.port === port && isHere(one.host))) return true
    const key = this.outbound.nameOf(port) as ServiceKey | undefined
    return (
      key !== undefined && this.rows.get(outboundListener(key))?.port === port && isHere(this.config.outbound.address)
    )
  }

  portRows(): readonly ListenerRow[] {
    return [...this.rows.values()]
  }

  servicePort(key: ServiceKey): number | undefined {
    const port = this.rows.get(outboundListener(key))?.port
    return port === undefined || port === 0 ? undefined : port
  }

  /** For `ports.json`. */
  remembered(): RememberedPorts {
    return { outbound: this.outbound.remembered(), inbound: this.inbound.remembered() }
  }

  /** Another port is another listener: it counts from the next version on. */
  private mark(name: string, port: number): void {
    if (port !== this.portsSince.get(name)) this.sinceVersion.set(name, this.store.version + 1)
    this.portsSince.set(name, port)
  }

  /** Why datagrams cannot be carried to an application; undefined = they can, or it takes connections. */
  private udpProblem(application: Application): string | undefined {
    if (application.protocol !== 'udp') return undefined
    if (this.mtlsOf(application) === 'strict')
      return 'its callers must come in mutual TLS (PeerAuthentication STRICT), which UDP has not'
    if (application.listenerUser !== undefined)
      return 'who takes datagrams at a port cannot be told, so a UDP application must be one of services.d'
    return undefined
  }

  private refuse(
    row: Omit<ListenerRow, 'port' | 'problem' | 'isPinned'>,
    { id, inboundPort }: Application,
    why: string,
  ): ListenerRow {
    this.inbound.release(id)
    const problem = `E_LISTEN_DENIED  ${why}`
    const made: ListenerRow = { ...row, port: 0, isPinned: inboundPort !== undefined, problem }
    this.rows.set(row.listener, made)
    return made
  }

  private clearInbound(application: Application): void {
    const key = inboundKey(application)
    this.store.setListener(inboundListener(application.id), undefined)
    this.store.setVirtualHost(key, undefined)
    this.store.setService(key, undefined)
  }

  private give(
    allocator: PortAllocator,
    row: Omit<ListenerRow, 'port' | 'problem' | 'isPinned'>,
    pinned: number | undefined,
    name: string,
  ): ListenerRow {
    let made: ListenerRow
    try {
      made = { ...row, port: allocator.assign(name, pinned), isPinned: pinned !== undefined, problem: undefined }
    } catch (error) {
      if (!(error instanceof MeshError)) throw error
      made = { ...row, port: 0, isPinned: pinned !== undefined, problem: describeError(error) }
    }
    this.rows.set(row.listener, made)
    return made
  }
}

function rpcListeners({ outbound }: AgentConfig): Map<string, ListenerSpec> {
  const wanted = new Map<string, ListenerSpec>()
  for (const { address, protocol } of outbound.rpc) {
    const name = sharedRpcListener(protocol, address)
    const { host, port } = address
    wanted.set(name, { name, kind: 'shared-rpc', protocol, address: host, port, proxyProtocol: 'off' })
  }
  return wanted
}

/** Ports of this agent that are no service's: never allocated, and named when somebody pins them. */
function takenPorts(config: AgentConfig): Map<number, string> {
  return new Map(ownAddresses(config).map((one) => [one.port, `${formatPath(one.path)} (${formatHostPort(one)})`]))
}

/** The group tells applications of one name apart; the name stays readable in metrics. */
function inboundKey({ service, address, port }: Application): ServiceKey {
  return inboundKeyOf(service, address, port)
}

/**
 * One endpoint, always used: whether the application is well is the registry's news, not a reason to answer 503 for it.
 * Limits are the worker's own, beside those of `said`.
 */
function inboundService(
  key: ServiceKey,
  application: Application,
  bound: number,
  said: ReturnType<Rules['inboundPolicy']>,
): ServiceSpec {
  const policy: TrafficPolicySpec = {
    ...defaultTrafficPolicy,
    loadBalancer: { kind: 'round-robin' },
    locality: { enabled: false },
    pool: { ...defaultTrafficPolicy.pool, maxConnections: bound, maxPending: bound, maxRequests: bound },
    retryBudget: undefined,
    panicShare: 0,
    ...said,
  }
  const endpoint = endpointAt(application.address, application.port, { version: application.metadata['version'] ?? '' })
  return {
    key,
    protocol: application.protocol,
    policy,
    subsets: {},
    portPolicies: {},
    endpoints: {
      service: key,
      version: 1,
      endpoints: [endpoint],
      protectThreshold: 0,
      registry: 'local',
      confirmedAt: 0,
    },
  }
}
