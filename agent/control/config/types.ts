/** The configuration as the rest of control sees it: every default filled in, paths absolute, durations in ms. */
import type { DescribedProtocol } from '../../../contracts/rpc-description.ts'
import type { ServiceName } from '../../../contracts/endpoint.ts'
import type { AppProtocol } from '../../../contracts/protocols.ts'
import type { AccessLogSpec, HalfClosed, InboundMtls, LimitsSpec } from '../../../contracts/snapshot.ts'
import type { UserFilterSpec } from '../../../contracts/user-filter-spec.ts'
import type { RegistryFile } from '../kinds/registries.ts'
import type { ReportsSection } from './center-section.ts'
import type { GatewaySection } from './gateway-section.ts'
import type { AgentFile, ApplicationFile } from './schema.ts'
import type { HostPort, PortRange } from './scalars.ts'

/** The word of `role:` in a file; also what the node calls itself in logs, metrics and `x-mesh-tier`. */
export type Role = 'agent' | 'center'

export interface HostConfig {
  readonly name: string
  readonly address: string
  readonly zone: string
  readonly region: string
  readonly labels: Readonly<Record<string, string>>
}

export interface AgentConfig {
  /** Absolute path of the file that it came from. */
  readonly file: string
  readonly role: Role
  readonly host: HostConfig
  /** In order of precedence; paths are absolute. */
  readonly registries: readonly RegistryFile[]
  readonly endpoints: AgentFile['endpoints']
  readonly dns: AgentFile['dns']
  /**
   * What a service that is written without namespace or group gets: those of the first registry that has such names.
   */
  readonly serviceDefaults: {
    readonly namespace: string
    readonly group: string
    /** Of all such registries: they may stand behind a dot in rules and in Host, `orders.PAYMENTS`. */
    readonly groups: readonly string[]
  }
  readonly outbound: Omit<AgentFile['outbound'], 'http' | 'services' | 'sockets'> & {
    readonly http: HostPort | 'off'
    readonly services: readonly OutboundService[]
    readonly sockets: readonly OutboundSocket[]
  }
  readonly inbound: {
    readonly address: string
    readonly portRange: PortRange
    readonly halfClosed: HalfClosed
  }
  readonly center: {
    readonly addresses: readonly HostPort[]
    readonly secretFile: string | undefined
    /** Paths are absolute; undefined = nobody is told how this host is. */
    readonly reports: ReportsSection | undefined
    /** They are called in mutual TLS alone. */
    readonly mtls: boolean
  }
  /** Paths are absolute. */
  readonly identity: AgentFile['identity']
  /** Paths are absolute. */
  readonly tls: AgentFile['tls']
  /** Where relayed connections of other hosts are taken; undefined = nowhere. */
  readonly relay: RelayConfig | undefined
  /** Where the read-only pages are shown to other hosts; undefined = nowhere. */
  readonly api: { readonly address: HostPort } | undefined
  /** What Gateways may open; undefined = nothing. */
  readonly gateway: GatewaySection
  /** Where parts of this kind of node alone listen, with the place in its file. */
  readonly morePorts: readonly (HostPort & { readonly path: readonly string[] })[]
  /** At least 1. */
  readonly workers: number
  readonly workerTransport: AgentFile['workerTransport']
  readonly admin: { readonly address: HostPort | 'off'; readonly socket: string }
  readonly metrics: { readonly address: HostPort | 'off' }
  readonly readiness: { readonly address: HostPort | 'off' }
  readonly limits: LimitsSpec
  readonly accessLog: Omit<AccessLogSpec, 'isExported'> & { readonly collector: CollectorConfig | undefined }
  readonly tracing: Omit<AgentFile['tracing'], 'collector'> & { readonly collector: CollectorConfig | undefined }
  readonly generateRequestId: AgentFile['generateRequestId']
  readonly fallbackNetworks: readonly string[]
  readonly rpcProtocols: readonly DescribedProtocol[]
  readonly filters: readonly UserFilterSpec[]
  readonly nacosFace: AgentFile['nacosFace']
  readonly sofaFace: AgentFile['sofaFace']
  readonly runDir: string
  readonly stateDir: string
  readonly servicesDir: string
  readonly rulesDir: string
  /** How hosts and namespaces of rules read as services. */
  readonly rules: AgentFile['rules']
  readonly watchdog: AgentFile['watchdog']
  readonly logging: AgentFile['logging']
}

export interface RelayConfig {
  readonly address: HostPort
  /** Of one worker. */
  readonly maxConnections: number
  /** Of one peer address and worker. */
  readonly maxConnectionsPerHost: number
  readonly allowedNetworks: readonly string[]
  readonly secretFile: string | undefined
  readonly mtls: 'disable' | InboundMtls
  /** Of those that come in mutual TLS. */
  readonly hosts: readonly string[]
}

/** Where spans or log records go. */
export type CollectorConfig = NonNullable<AgentFile['tracing']['collector']>

export interface OutboundSocket {
  /** Absolute. */
  readonly path: string
  readonly protocol: AgentFile['outbound']['sockets'][number]['protocol']
  readonly mode: number
  /** As written, and what the system says; undefined ids of what is written: there is none of that name. */
  readonly user: string | number | undefined
  readonly group: string | number | undefined
  readonly uid: number | undefined
  readonly gid: number | undefined
  readonly application: ServiceName | undefined
}

export interface OutboundService {
  readonly service: ServiceName
  readonly protocol: AppProtocol
  /** Pinned; undefined = allocated. */
  readonly port: number | undefined
  readonly halfClosed: HalfClosed
}

/** One good file of `services.d`. */
export interface ApplicationConfig extends Omit<ApplicationFile, 'service'> {
  readonly service: ServiceName
  readonly file: string
}
