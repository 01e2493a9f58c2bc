import type { ClusterDump } from '../../../contracts/control-link.ts'
import type { HashKeySpec } from '../../../contracts/policy-spec.ts'
import type { EndpointProtocol } from '../../../contracts/protocols.ts'
import type { Cluster } from '../balance/types.ts'
import { ClusterPools } from './cluster-pools.ts'
import type { PoolDeps } from './pool-deps.ts'

/**
 * A destination as the data path holds it: its balancing, its connections, and what is asked of each request before a
 * pick.
 */
export class Upstream {
  readonly kind = 'upstream'
  /** `service|subset|port`, or `fallback|address:port`. */
  readonly key: string
  readonly cluster: Cluster
  readonly pools: ClusterPools
  /** TCP connections through it, which no pool counts. */
  tcpConnections = 0
  /** Requests and connections so far. */
  uses = 0
  /** `uses` when control was last told. */
  reportedUses = 0

  constructor(key: string, cluster: Cluster, deps: PoolDeps, protocol: EndpointProtocol) {
    this.key = key
    this.cluster = cluster
    this.pools = new ClusterPools(key, cluster, deps, protocol)
  }

  /** What the balancer wants hashed, or null. */
  get hashKey(): HashKeySpec | null {
    const balancer = this.cluster.policy.loadBalancer
    return balancer.kind === 'ring-hash' || balancer.kind === 'maglev' ? balancer.key : null
  }

  dump(now: number): ClusterDump {
    const dump = this.cluster.dump(now)
    const counts = new Map<string, { connections: number; idleConnections: number }>()
    for (const { idle, open, state } of this.pools.pools) {
      const { connections = 0, idleConnections = 0 } = counts.get(state.id) ?? {}
      counts.set(state.id, { connections: connections + open, idleConnections: idleConnections + idle.length })
    }
    return {
      ...dump,
      endpoints: dump.endpoints.map((endpoint) => ({
        ...endpoint,
        ...(counts.get(endpoint.endpoint) ?? { connections: 0, idleConnections: 0 }),
      })),
    }
  }

  /** Whether it carries traffic now or did since `reportedUses`. */
  get isInUse(): boolean {
    return this.uses !== this.reportedUses || this.cluster.numbers.activeRequests > 0 || this.tcpConnections > 0
  }
}
