import type { EndpointProtocol } from '../../../contracts/protocols.ts'
import type { Cluster, EndpointState } from '../balance/types.ts'
import type { UpstreamCodec } from '../forward/streams.ts'
import { EndpointPool } from './endpoint-pool.ts'
import type { PoolHome } from './endpoint-pool.ts'
import type { PoolDeps } from './pool-deps.ts'

/** The pools of one cluster: it shares out the cluster's connection limit between them. */
export class ClusterPools implements PoolHome {
  readonly cluster: Cluster
  readonly deps: PoolDeps
  readonly pools = new Set<EndpointPool>()
  /** HTTP connections of all endpoints. */
  open = 0
  isClosed = false
  private protocol: EndpointProtocol
  private isPumping = false

  constructor(cluster: Cluster, deps: PoolDeps, protocol: EndpointProtocol) {
    this.cluster = cluster
    this.deps = deps
    this.protocol = protocol
    cluster.onGone = (state) => this.endpointLeft(state)
  }

  get codec(): UpstreamCodec {
    return this.deps.codecs[this.protocol]
  }

  /**
   * What is spoken to the endpoints from the next connection on; those of another protocol end with the requests that
   * run over them.
   */
  speak(protocol: EndpointProtocol): void {
    if (protocol === this.protocol) return
    this.protocol = protocol
    for (const pool of this.pools) pool.retire()
  }

  /** The pool of an endpoint that `pick` chose. */
  of(state: EndpointState): EndpointPool {
    return (state.pool as EndpointPool | null) ?? this.create(state)
  }

  /** Closes an idle connection of another endpoint; false when there is none. */
  makeRoom(except: object): boolean {
    for (const pool of this.pools) {
      if (pool !== except && pool.closeOldestIdle()) return true
    }
    return false
  }

  /** A connection slot came free: whoever waits may dial now. */
  pump(): void {
    if (this.isPumping) return
    this.isPumping = true
    for (const pool of this.pools) {
      if (pool.waitingCount > 0) pool.dialForWaiters()
    }
    this.isPumping = false
  }

  removePool(pool: EndpointPool): void {
    this.pools.delete(pool)
    pool.state.pool = null
  }

  /**
   * The cluster left the snapshot: idle connections close now, busy ones after their exchange. Requests that were
   * routed here go on here, so whoever waits still gets its connection.
   */
  close(): void {
    this.isClosed = true
    for (const pool of this.pools) {
      pool.closeIdle()
      pool.watchClosely()
    }
  }

  private create(state: EndpointState): EndpointPool {
    const pool = new EndpointPool(this, state)
    state.pool = pool
    this.pools.add(pool)
    return pool
  }

  private endpointLeft(state: EndpointState): void {
    const pool = state.pool as EndpointPool | null
    if (pool !== null) pool.leave()
  }
}
