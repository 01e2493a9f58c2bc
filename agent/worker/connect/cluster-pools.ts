import type { EndpointProtocol } from '../../../contracts/protocols.ts'
import type { Cluster, EndpointState } from '../balance/types.ts'
import type { UpstreamCodec } from '../forward/streams.ts'
import { EndpointPool } from './endpoint-pool.ts'
import type { PoolHome } from './endpoint-pool.ts'
import type { PoolDeps } from './pool-deps.ts'

const alpnNames: ReadonlyMap<EndpointProtocol, readonly string[]> = new Map([
  ['http1', ['http/1.1']],
  ['http2', ['h2']],
])
const noNames: readonly string[] = []

/** The pools of one cluster: it shares out the cluster's connection limit between them. */
export class ClusterPools implements PoolHome {
  readonly key: string
  readonly cluster: Cluster
  readonly deps: PoolDeps
  readonly pools = new Set<EndpointPool>()
  /** HTTP connections of all endpoints. */
  open = 0
  isClosed = false
  /** What is spoken to the endpoints. */
  protocol: EndpointProtocol
  /** Of applications that call under an identity of their own, by endpoint and identity. */
  private readonly ofCallers = new Map<string, EndpointPool>()
  private isPumping = false

  constructor(key: string, cluster: Cluster, deps: PoolDeps, protocol: EndpointProtocol) {
    this.key = key
    this.cluster = cluster
    this.deps = deps
    this.protocol = protocol
    cluster.onGone = (state) => this.endpointLeft(state)
  }

  get codec(): UpstreamCodec {
    return this.deps.codecs.of(this.protocol)
  }

  /** For ALPN; empty for what has no name there. */
  get alpn(): readonly string[] {
    return alpnNames.get(this.protocol) ?? noNames
  }

  /**
   * What is spoken to the endpoints from the next connection on; those of another protocol end with the requests that
   * run over them.
   */
  speak(protocol: EndpointProtocol): void {
    if (protocol === this.protocol) return
    this.protocol = protocol
    this.retire()
  }

  /** The connections that are there take nobody new. */
  retire(): void {
    for (const pool of this.pools) pool.retire()
  }

  /**
   * The pool of an endpoint that `pick` chose, for a caller with this identity: its own where connections carry it,
   * else everybody's.
   */
  of(state: EndpointState, identity: string | undefined): EndpointPool {
    const isOwn = identity !== undefined && this.deps.dialer.isMutual(state.endpoint, this.cluster.policy)
    return this.exactly(state, isOwn ? identity : undefined)
  }

  /** The pool of connections that carry this identity. */
  exactly(state: EndpointState, identity: string | undefined): EndpointPool {
    if (identity === undefined) return (state.pool as EndpointPool | null) ?? this.create(state)
    return this.ofCallers.get(callerKey(state, identity)) ?? this.createFor(state, identity)
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
    if (pool.identity === undefined) pool.state.pool = null
    else this.ofCallers.delete(callerKey(pool.state, pool.identity))
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
    const pool = new EndpointPool(this, state, undefined)
    state.pool = pool
    this.pools.add(pool)
    return pool
  }

  private createFor(state: EndpointState, identity: string): EndpointPool {
    const pool = new EndpointPool(this, state, identity)
    this.ofCallers.set(callerKey(state, identity), pool)
    this.pools.add(pool)
    return pool
  }

  private endpointLeft(state: EndpointState): void {
    const pool = state.pool as EndpointPool | null
    if (pool !== null) pool.leave()
    if (this.ofCallers.size > 0) for (const one of this.pools) if (one.state === state && one !== pool) one.leave()
  }
}

function callerKey(state: EndpointState, identity: string): string {
  return `${state.id} ${identity}`
}
