/**
 * Control to worker: everything that a worker knows. Whole at first, then by deltas in which a change of one service
 * costs one service. Plain data, safe as JSON; the same shape lies on disk (`agent/control/core/snapshot`). A worker
 * swaps it in by one assignment per changed part.
 */
import type { EndpointSet, Locality, ServiceKey } from './endpoint.ts'
import type { AppProtocol, RpcProtocol } from './protocols.ts'
import type { TrafficPolicySpec } from './policy-spec.ts'
import type { RpcDescription } from './rpc-description.ts'
import type { VirtualHostSpec } from './route-spec.ts'
import type { TraceFormat } from './telemetry.ts'
import type { UserFilterSpec } from './user-filter-spec.ts'

export const snapshotFormat = 1

export interface NodeSpec {
  /** Name of this host in logs, metrics and TLVs. */
  readonly host: string
  readonly address: string
  readonly locality: Locality
  /** `agent` on a host, `center` in a global mesh center: the tier that our responses are marked with. */
  readonly tier: 'agent' | 'center'
}

/** Bounds of R34/R35 and of overload protection; `docs/limits.md` explains each. 0 never means "no bound" here. */
export interface LimitsSpec {
  readonly maxRequestLineBytes: number
  readonly maxHeadBytes: number
  readonly maxFields: number
  readonly maxChunkLineBytes: number
  readonly maxChunkExtensionBytes: number
  readonly maxInterimReplies: number
  readonly maxPipelined: number
  readonly maxDrainBytes: number
  readonly drainTimeoutMs: number
  readonly headTimeoutMs: number
  readonly keepAliveTimeoutMs: number
  /**
   * How long the reply to a caller that closed its side may still take to begin, where the listener answers such
   * callers at all.
   */
  readonly halfClosedTimeoutMs: number
  readonly bodyIdleTimeoutMs: number
  readonly requestTimeoutMs: number
  /** Downstream connections of one worker. */
  readonly maxConnections: number
  /** Requests that wait for control to learn about a service. */
  readonly maxParkedRequests: number
  readonly parkTimeoutMs: number
  /** Of one connection of HTTP/2: a caller's streams at once. */
  readonly maxStreams: number
  /** Content that waits here, of one stream and of all streams of a connection. */
  readonly streamWindowBytes: number
  readonly connectionWindowBytes: number
  /** Sessions of UDP callers of one worker; one listener gets half of them. */
  readonly maxUdpSessions: number
  /** A session of a UDP caller without a datagram in either direction. */
  readonly udpIdleTimeoutMs: number
}

/** Sources: `docs/limits.md`; R34, R35, Envoy's edge advice. */
export const defaultLimits: LimitsSpec = {
  maxRequestLineBytes: 16_384,
  maxHeadBytes: 61_440,
  maxFields: 100,
  maxChunkLineBytes: 4096,
  maxChunkExtensionBytes: 16_384,
  maxInterimReplies: 32,
  maxPipelined: 16,
  maxDrainBytes: 67_108_864,
  drainTimeoutMs: 1000,
  headTimeoutMs: 10_000,
  keepAliveTimeoutMs: 60_000,
  halfClosedTimeoutMs: 5000,
  bodyIdleTimeoutMs: 30_000,
  requestTimeoutMs: 300_000,
  maxConnections: 20_000,
  maxParkedRequests: 1024,
  parkTimeoutMs: 3000,
  maxStreams: 100,
  streamWindowBytes: 65_536,
  connectionWindowBytes: 1_048_576,
  maxUdpSessions: 8192,
  udpIdleTimeoutMs: 60_000,
}

export interface AccessLogSpec {
  readonly format: 'off' | 'text' | 'json'
  /** Of a line of text, in Envoy's words (`access-log-format.ts`); absent = Envoy's default. */
  readonly textFormat?: string | undefined
  /** Absolute path, or `-` for standard output. */
  readonly path: string
  /** Share of requests that are logged; failed ones always are. */
  readonly share: number
  /** Each line goes to the collector, too, as a log record. Absent = no. */
  readonly isExported?: boolean
}

export interface TracingSpec {
  /** A request without a trace gets one. */
  readonly createMissing: boolean
  /** Share of traces begun here that are sampled. */
  readonly sampledShare: number
  /** Spans of sampled requests go to the collector. Absent = no. */
  readonly isExported?: boolean
  /** Fields of a trace begun here; absent = w3c. */
  readonly propagation?: readonly TraceFormat[]
}

export interface MeshSpec {
  readonly limits: LimitsSpec
  readonly accessLog: AccessLogSpec
  /** Networks in CIDR form that `x-mesh-fallback` may name; empty = none. */
  readonly fallbackNetworks: readonly string[]
  /**
   * Where this host itself listens by its configuration (admin, metrics, faces, a center's API, …), which
   * `x-mesh-fallback` may not name. Absent = nowhere.
   */
  readonly ownAddresses?: readonly ListeningAddress[]
  /** Calling applications by user id of the local peer; empty = the look-up is never made. */
  readonly sourceAppsByUid: Readonly<Record<string, SourceAppSpec>>
  readonly tracing: TracingSpec
  /** A request without `x-request-id` gets one. Absent = no. */
  readonly generateRequestId?: boolean
  /** Private RPC that the configuration describes, by name. Absent = none. */
  readonly rpcProtocols?: Readonly<Record<string, RpcDescription>>
  /**
   * Resident bytes at which the watchdog replaces a worker; absent = never. A worker takes no new connections shortly
   * before.
   */
  readonly maxMemoryBytes?: number
  /** Filters of users that routes may name. Absent = none. */
  readonly userFilters?: readonly UserFilterSpec[]
  /** This host has certificates, which a worker gets beside the snapshot. Absent = none. */
  readonly hasCertificates?: true
}

/** Where an agent listens; an address of an interface, or all of them. */
export interface ListeningAddress {
  readonly address: string
  readonly port: number
}

export interface SourceAppSpec {
  readonly app: string
  readonly namespace: string
  readonly labels: Readonly<Record<string, string>>
  /** SPIFFE id under which it calls others; absent = the host's own. */
  readonly identity?: string | undefined
}

/**
 * What an HTTP caller is that closes its side (FIN) behind a whole request: one that gave up, or one that waits for the
 * answer.
 */
export type HalfClosed = 'gone' | 'answered'

/** `permissive`: TLS and plain, by the first bytes. `strict`: TLS alone (Istio's PeerAuthentication). */
export type InboundMtls = 'permissive' | 'strict'

/** Of the file of a unix socket. */
export interface SocketAccessSpec {
  /** Permission bits. */
  readonly mode: number
  /** Absent: those of the worker. */
  readonly uid?: number | undefined
  readonly gid?: number | undefined
}

interface ListenerBase {
  /** Unique and stable over restarts: it is the name under which the watchdog holds the socket. */
  readonly name: string
  /** An IP literal, or the absolute path of a unix socket. */
  readonly address: string
  /** 0 with a path. */
  readonly port: number
  /** With a path: who may connect. */
  readonly access?: SocketAccessSpec
  /** The calling application, whoever connects: only it can. Absent = by the user of the connection. */
  readonly source?: SourceAppSpec | undefined
  /** Whether connections must begin with a PROXY protocol header (v1 or v2). */
  readonly proxyProtocol: 'off' | 'required'
  /** Of HTTP; absent = `gone`. */
  readonly halfClosed?: HalfClosed
}

/** The TLS of some servers of a gateway's port. */
export type GatewayTlsSpec =
  /** It goes through as it is. */
  | { readonly mode: 'passthrough' }
  /** It ends here with the certificate of a credential; callers show none, or one of its roots. */
  | {
      readonly mode: 'simple' | 'mutual'
      readonly credential: string
      /** Of mutual: names that a caller's certificate may have; absent = any. */
      readonly subjectAltNames?: readonly string[]
    }
  /** It ends here with the host's own identity; callers have one of the mesh. */
  | { readonly mode: 'istio-mutual' }

interface GatewayServerBase {
  /** Server names of the TLS hello, in lower case: exact, `*.suffix`, or `*`. Of a port without TLS `*` alone. */
  readonly names: readonly string[]
  /** Absent = plain, and the one server of its port. */
  readonly tls?: GatewayTlsSpec
}

/** What callers of a gateway's port find there, by the server name of their TLS. */
export type GatewayServerSpec =
  /** Virtual hosts by the lower-case name in Host: exact, `*.suffix`, or `*`. */
  | (GatewayServerBase & { readonly protocol: 'http'; readonly hosts: Readonly<Record<string, string>> })
  | (GatewayServerBase & { readonly protocol: 'tcp'; readonly virtualHost: string })

export type ListenerSpec =
  /** The shared outbound HTTP port: the request names the service. */
  | (ListenerBase & {
      readonly kind: 'shared-http'
      /** CONNECT and SOCKS5 are served beside HTTP. */
      readonly tunnels?: true
      /** While no generation serves, its connections wait: a relay cannot carry what they ask for. */
      readonly isHeld?: true
    })
  /** A shared outbound port of private RPC: each request names the service in the protocol's own head. */
  | (ListenerBase & { readonly kind: 'shared-rpc'; readonly protocol: RpcProtocol })
  /** One localhost port for one service. */
  | (ListenerBase & {
      readonly kind: 'service'
      readonly protocol: AppProtocol
      readonly service: ServiceKey
      readonly virtualHost: string
    })
  /**
   * From the network to a local application; `service` is a key of the snapshot whose only endpoint is the application.
   */
  | (ListenerBase & {
      readonly kind: 'inbound'
      readonly protocol: AppProtocol
      readonly service: ServiceKey
      readonly virtualHost: string
      readonly app: string
      /** User id that must listen where the application is said to be; absent = whoever listens there. */
      readonly applicationUser?: number | undefined
      /** SPIFFE id under which it serves; absent = the host's own. */
      readonly identity?: string | undefined
      /** Mutual TLS of its callers; absent = plain, whatever comes. */
      readonly mtls?: InboundMtls | undefined
    })
  /**
   * A port of a gateway: from anybody to services. The virtual host of its own name answers where no server has the
   * name in Host.
   */
  | (ListenerBase & {
      readonly kind: 'gateway'
      readonly protocol: 'http' | 'tcp'
      readonly servers: readonly GatewayServerSpec[]
      /** So many proxies stand before it, whose `x-forwarded-for` is believed. */
      readonly trustedProxies: number
    })
  /** In a center: takes relayed connections of hosts; the service comes from the TLV of PROXY v2. */
  | (ListenerBase & {
      readonly kind: 'relay'
      /** By the address of the peer, never by a name that it states. */
      readonly maxConnectionsPerHost: number
      readonly maxConnections: number
      /** CIDR networks of the peers that may connect. */
      readonly allowedNetworks: readonly string[]
      /** Absolute path; undefined = no proof is asked for. */
      readonly secretFile: string | undefined
      /** Mutual TLS of its callers; absent = plain, whatever comes. */
      readonly mtls?: InboundMtls | undefined
      /** Names of hosts that may come in mutual TLS; a `*` at the end stands for any rest. Absent = all. */
      readonly hosts?: readonly string[] | undefined
      /** Names of hosts that the authority of this center denies: not even with a good certificate. */
      readonly deniedHosts?: readonly string[] | undefined
    })

export interface SubsetSpec {
  readonly labels: Readonly<Record<string, string>>
  readonly policy: TrafficPolicySpec
  /** Policies by destination port where the subset or its rule has some; they win over `policy`. */
  readonly portPolicies?: Readonly<Record<string, TrafficPolicySpec>>
}

/** A destination: endpoints plus the policy for each way to reach them. */
export interface ServiceSpec {
  readonly key: ServiceKey
  readonly protocol: AppProtocol
  readonly policy: TrafficPolicySpec
  readonly subsets: Readonly<Record<string, SubsetSpec>>
  /** Policies by destination port (Istio's portLevelSettings); they win over `policy`. */
  readonly portPolicies: Readonly<Record<string, TrafficPolicySpec>>
  readonly endpoints: EndpointSet
}

export interface Snapshot {
  readonly format: typeof snapshotFormat
  /** Grows by one with each published change of this host, also over restarts of control. */
  readonly version: number
  /** Epoch ms. */
  readonly createdAt: number
  readonly node: NodeSpec
  readonly mesh: MeshSpec
  readonly listeners: Readonly<Record<string, ListenerSpec>>
  readonly virtualHosts: Readonly<Record<string, VirtualHostSpec>>
  readonly services: Readonly<Record<ServiceKey, ServiceSpec>>
  /**
   * Answers to `need`: a name that a caller used (as written in `x-mesh-service`, or a lower-case Host without port) to
   * its virtual host, or null when no registry and no rule knows it. Names that are not in here must be asked for.
   */
  readonly names: Readonly<Record<string, string | null>>
}

/** A changed record or, for null, a removed one. */
export type Changes<T> = Readonly<Record<string, T | null>>

export interface SnapshotDelta {
  readonly baseVersion: number
  readonly version: number
  readonly node?: NodeSpec
  readonly mesh?: MeshSpec
  readonly listeners?: Changes<ListenerSpec>
  readonly virtualHosts?: Changes<VirtualHostSpec>
  readonly services?: Changes<ServiceSpec>
  /** Only the endpoints of services that the worker already has: the cheap and common change. */
  readonly endpoints?: Readonly<Record<ServiceKey, EndpointSet>>
  /** `undefined` in JSON is a missing key, so a forgotten name is listed here. */
  readonly names?: Readonly<Record<string, string | null>>
  readonly forgottenNames?: readonly string[]
}

/** Whether it takes datagrams and no connections. */
export function takesDatagrams(spec: ListenerSpec): boolean {
  return 'protocol' in spec && spec.protocol === 'udp'
}
