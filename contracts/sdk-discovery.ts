/**
 * What the admin page `/discovery` tells an application's SDK. Kept by the SDK on disk, so fields are added, never
 * changed.
 */
import type { ServiceKey } from './endpoint.ts'

export interface AgentDiscovery {
  /** Name of this host. */
  readonly host: string
  /** Shared ports of this host, `host:port`; null = there is none. */
  readonly http: string | null
  /** By protocol; `auto` takes each. */
  readonly rpc: Readonly<Record<string, string>>
  readonly nacosFace: string | null
  /** Relay ports of the centers, `host:port`, in the order in which this host tries them. */
  readonly centers: readonly string[]
  /** Centers admit only who knows their secret (`contracts/relay-proof.ts`). */
  readonly centersWantProof: boolean
  /** Whether a center may be asked for a service that this host has not named yet. */
  readonly centersTakeUnnamed: boolean
  /** By the name that was asked for; null = nobody knows it; absent = not known yet, ask again. */
  readonly services: Readonly<Record<string, DiscoveredService | null>>
}

export interface DiscoveredService {
  readonly service: ServiceKey
  /** Whether a center may be asked, and whether the endpoints may. */
  readonly center: boolean
  readonly direct: boolean
  /** `address:port`, at most 64. */
  readonly endpoints: readonly string[]
}
