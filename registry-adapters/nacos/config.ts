/**
 * What the Nacos adapter is told; times have defaults in `defaultNacosTimes`, everything that only the operator knows
 * is required.
 */

export interface NacosTls {
  /** PEM texts. Without `ca` the system's authorities are used. `cert` and `key` go together: mutual TLS. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  /** Name that certificates are checked against, where it differs from the host that is dialled. */
  readonly serverName?: string
}

export type NacosCredentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'password'; readonly username: string; readonly password: string }
  | { readonly kind: 'access-key'; readonly accessKey: string; readonly secretKey: string }

/** What may be an endpoint. Everything else is refused, counted and logged once. */
export interface EndpointRules {
  /** Loopback and unspecified addresses: for tests and for demonstrations on one machine. */
  readonly allowLoopback: boolean
  readonly allowLinkLocal: boolean
  /** Is this one of our own listening ports on one of our own addresses? A call to it would come back to us. */
  readonly isOwnPort: (address: string, port: number) => boolean
  /** More instances than this are cut off, in order of address; default 10_000. */
  readonly maxEndpoints?: number
}

export interface NacosTimes {
  /** One unary request or HTTP request; default 3 s. */
  readonly requestTimeoutMs: number
  /** Server check, stream and set-up of one connection attempt together; default 6 s. */
  readonly connectTimeoutMs: number
  /** An idle connection is checked this often; default 5 s, the official client's. */
  readonly healthCheckMs: number
  /** First and longest pause between two connection attempts; both with full jitter. Default 0.5 s and 15 s. */
  readonly reconnectMinMs: number
  readonly reconnectMaxMs: number
  /**
   * After a lost connection the first attempt waits up to this long, at random, so that a fleet does not come at once;
   * default 1 s.
   */
  readonly reconnectSpreadMs: number
  /**
   * Each subscribed service is asked for again this often, spread evenly, in case a push was lost; default 60 s, and
   * never more than two services a second. 0 switches it off.
   */
  readonly safetyPollMs: number
  /** Heartbeat of one registration, with ±10 % jitter; default 5 s. */
  readonly heartbeatMs: number
  /**
   * An empty or shrinking list is asked for again after this time, at another server where there is one; default 1.5 s.
   */
  readonly confirmAfterMs: number
  /**
   * After an outage of all servers their lists fill up again slowly: for this long a list that lacks known instances is
   * not believed, whoever confirms it; default 30 s, time for every client to come back.
   */
  readonly settleMs: number
  /**
   * For `settleMs` after a sign of trouble among the servers, an instance that vanishes is used for at least this long,
   * and until a second server lacks it, too; default 10 s. A member that comes or goes forgets living instances until
   * their next heartbeat, 5 s at most with ordinary clients, and tells the others within a second.
   */
  readonly doubtMs: number
  /**
   * Servers of one cluster tell each other of a change after a second; one that shows something else after this time
   * has missed it; default 1.5 s.
   */
  readonly syncMs: number
  /** Names of servers are resolved again this often; default 30 s. */
  readonly resolveMs: number
  /** Servers without gRPC: every service is asked for this often, and every watched document; default 5 s and 10 s. */
  readonly httpPollMs: number
  readonly configPollMs: number
}

export const defaultNacosTimes: NacosTimes = {
  requestTimeoutMs: 3000,
  connectTimeoutMs: 6000,
  healthCheckMs: 5000,
  reconnectMinMs: 500,
  reconnectMaxMs: 15_000,
  reconnectSpreadMs: 1000,
  safetyPollMs: 60_000,
  heartbeatMs: 5000,
  confirmAfterMs: 1500,
  settleMs: 30_000,
  doubtMs: 10_000,
  syncMs: 1500,
  resolveMs: 30_000,
  httpPollMs: 5000,
  configPollMs: 10_000,
}

/** HTTP API: found out by asking, or pinned. */
export type NacosApi = 'auto' | 'v1' | 'v2' | 'v3'

export interface NacosAdapterConfig {
  /** Name of the registry in `agent.yaml`. */
  readonly name: string
  /** HTTP addresses, `host:port`; hosts may be names or IP literals (IPv6 in brackets). At least one. */
  readonly servers: readonly string[]
  /** Namespace id that this adapter serves; services of other namespaces may still be asked for by name. */
  readonly namespace: string
  /** Context path of the servers; default `/nacos`. */
  readonly contextPath?: string
  /** gRPC port minus HTTP port; default 1000. */
  readonly grpcPortOffset?: number
  readonly credentials: NacosCredentials
  /**
   * The credentials as they are now, for files that may be replaced: asked before every request, answers the same
   * object while they are the same. Never throws.
   */
  readonly renewedCredentials?: () => NacosCredentials
  readonly tls?: NacosTls
  /** HTTP API for registration; default `auto`. */
  readonly api?: NacosApi
  /** `auto`: gRPC, and HTTP where no server offers gRPC (1.x). Default `auto`. */
  readonly transport?: 'auto' | 'grpc' | 'http'
  /**
   * Groups that `listServices` looks into besides those of subscribed services, because servers list one group at a
   * time; default `DEFAULT_GROUP`.
   */
  readonly groups?: readonly string[]
  /** Clusters whose instances are used; default all. The filter is ours: the server is always asked for all. */
  readonly clusters?: readonly string[]
  readonly endpoints: EndpointRules
  /** This host, as the servers show it (`clientIp`). Default none. */
  readonly hostAddress?: string
  readonly times?: Partial<NacosTimes>
}
