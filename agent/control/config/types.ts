/** The configuration as the rest of control sees it: every default filled in, paths absolute, durations in ms. */
import type { ServiceName } from '../../../contracts/endpoint.ts'
import type { AppProtocol } from '../../../contracts/protocols.ts'
import type { AccessLogSpec, HalfClosed, LimitsSpec } from '../../../contracts/snapshot.ts'
import type { RegistryFile } from '../kinds/registries.ts'
import type { Role } from './roles.ts'
import type { AgentFile, ApplicationFile } from './schema.ts'
import type { HostPort, PortRange } from './scalars.ts'

export interface HostConfig {
  readonly name: string
  readonly address: string
  readonly zone: string
  readonly region: string
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
  readonly outbound: Omit<AgentFile['outbound'], 'http' | 'services'> & {
    readonly http: HostPort | 'off'
    readonly services: readonly OutboundService[]
  }
  readonly inbound: {
    readonly address: string
    readonly portRange: PortRange
    readonly halfClosed: HalfClosed
  }
  readonly center: { readonly addresses: readonly HostPort[]; readonly secretFile: string | undefined }
  /** Only in a center. */
  readonly relay: AgentFile['relay']
  readonly api: AgentFile['api']
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
  readonly nacosFace: AgentFile['nacosFace']
  readonly runDir: string
  readonly stateDir: string
  readonly servicesDir: string
  readonly rulesDir: string
  /** How hosts and namespaces of rules read as services. */
  readonly rules: AgentFile['rules']
  readonly watchdog: AgentFile['watchdog']
  readonly logging: AgentFile['logging']
}

/** Where spans or log records go. */
export type CollectorConfig = NonNullable<AgentFile['tracing']['collector']>

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
