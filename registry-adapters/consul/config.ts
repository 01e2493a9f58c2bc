/** What the Consul adapter is told. */
import type { HttpServer, TlsTexts } from '../http/http-client.ts'

export interface ConsulAdapterConfig {
  /** Name of the registry in `agent.yaml`. */
  readonly name: string
  /** HTTP APIs: the local Consul agent, or servers. Registration wants the local agent. */
  readonly servers: readonly HttpServer[]
  /** Every service of this registry has this namespace and group in the mesh. */
  readonly namespace: string
  readonly group: string
  /** Consul's own words; undefined = the agent's own datacenter, the default namespace. */
  readonly datacenter: string | undefined
  readonly consulNamespace: string | undefined
  /** ACL token, read for each question; undefined = none. */
  readonly token: () => string | undefined
  readonly tls: () => TlsTexts | undefined
  /** 0..1: below this healthy share instances whose checks fail are used, too. */
  readonly protectThreshold: number
  readonly maxEndpoints: number
  /** ms that a question may wait for a change, 1000..600_000. */
  readonly waitMs: number
  /** ms between looks at whether the servers can be asked at all. */
  readonly pulseMs: number
}
