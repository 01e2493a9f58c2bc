import { MeshError } from '../../../contracts/errors.ts'
import { HttpConnection } from '../forward/http-connection.ts'
import { adoptPair } from '../forward/tcp-connection.ts'
import type { Road } from '../forward/road.ts'
import type { EndpointPool } from '../connect/endpoint-pool.ts'
import type { PooledConnection } from '../connect/pooled-connection.ts'
import type { Transport, Transports } from '../transport/transport.ts'
import type { Accepted } from './accepted.ts'
import type { Acceptor } from './acceptor.ts'
import type { Listeners } from './listeners.ts'
import { movedConnectionFormat } from './movable.ts'
import type {
  Detached,
  DuplicateDescriptor,
  LiveConnections,
  Movable,
  MovedConnection,
  MovedHttp1,
  MovedPair,
} from './movable.ts'
import { relayedContext } from './listener-context.ts'
import type { ServiceKey } from '../../../contracts/endpoint.ts'

export interface AdoptionDeps {
  readonly road: Road
  readonly transports: Transports
  readonly acceptor: Acceptor
  readonly listeners: Listeners
  /** Closes a descriptor that could not be taken over. */
  readonly closeDescriptor: (descriptor: number) => void
}

/** The live connections of a worker towards `handoff/`: the table of the road, the idle connections of the pools, and how to go on with moved ones. */
export class Adoption implements LiveConnections {
  private readonly deps: AdoptionDeps

  constructor(deps: AdoptionDeps) {
    this.deps = deps
  }

  get size(): number {
    return this.deps.road.live.size
  }

  get arriving(): number {
    return this.deps.acceptor.connections - this.deps.road.live.size
  }

  get onNew(): ((connection: Movable) => void) | null {
    return this.deps.road.live.onNew
  }

  set onNew(callback: ((connection: Movable) => void) | null) {
    this.deps.road.live.onNew = callback
  }

  list(): Movable[] {
    return this.deps.road.live.list()
  }

  listPooled(): Movable[] {
    const found: Movable[] = []
    for (const upstream of this.deps.road.state.serviceUpstreams()) {
      for (const pool of upstream.pools.pools) {
        for (const connection of pool.idle)
          found.push(new PooledMovable(this.deps.road, upstream.key, pool, connection))
      }
    }
    return found
  }

  adopt(state: unknown, descriptors: readonly number[]): Movable {
    const moved = state as MovedConnection
    const refuse = (code: 'E_HANDOFF_VERSION' | 'E_HANDOFF_REFUSED', message: string): MeshError => {
      for (const descriptor of descriptors) this.deps.closeDescriptor(descriptor)
      return new MeshError(code, `${message}; it is closed`)
    }
    if (typeof state !== 'object' || state === null || moved.format !== movedConnectionFormat) {
      throw refuse(
        'E_HANDOFF_VERSION',
        `moved connection of format ${String(moved?.format)}, allowed ${movedConnectionFormat}`,
      )
    }
    const wanted = moved.protocol === 'tcp' || moved.protocol === 'websocket' ? 2 : 1
    if (descriptors.length !== wanted) {
      throw refuse(
        'E_HANDOFF_REFUSED',
        `moved ${moved.protocol} connection with ${descriptors.length} descriptors, needs ${wanted}`,
      )
    }
    this.deps.road.clock.refresh()
    const upstream = 'cluster' in moved ? this.deps.road.state.upstream(moved.cluster) : undefined
    if ('cluster' in moved && upstream === undefined)
      throw refuse('E_HANDOFF_REFUSED', `${moved.cluster} is not known here`)
    const endpoint = upstream?.cluster.states.find(
      (candidate) => 'endpoint' in moved && candidate.id === moved.endpoint,
    )
    if (moved.protocol === 'pooled') {
      if (endpoint === undefined || upstream === undefined)
        throw refuse('E_HANDOFF_REFUSED', `${moved.endpoint} left ${moved.cluster}`)
      const [transport] = this.open(descriptors, refuse)
      const pool = upstream.pools.of(endpoint)
      const connection = pool.adopt(transport!, moved.requests, moved.ageMs)
      if (connection === undefined) throw new MeshError('E_HANDOFF_REFUSED', `${moved.endpoint}: no room; it is closed`)
      return new PooledMovable(this.deps.road, upstream.key, pool, connection)
    }
    const accepted = this.acceptedOf(moved)
    if (accepted === undefined) throw refuse('E_HANDOFF_REFUSED', `listener ${moved.listener} is not known here`)
    try {
      if (moved.protocol === 'http1') {
        const [transport] = this.open(descriptors, refuse)
        const connection = new HttpConnection(this.deps.road, accepted, transport!)
        connection.served = moved.served
        connection.open(Buffer.from(moved.received, 'base64'))
        return connection
      }
      const [down, up] = this.open(descriptors, refuse)
      return adoptPair(this.deps.road, accepted, moved, upstream!, endpoint, down!, up!)
    } catch (error) {
      accepted.onEnd()
      throw error
    }
  }

  private open(
    descriptors: readonly number[],
    refuse: (code: 'E_HANDOFF_REFUSED', message: string) => MeshError,
  ): Transport[] {
    const opened: Transport[] = []
    try {
      for (const descriptor of descriptors) opened.push(this.deps.transports.open(descriptor))
      return opened
    } catch (error) {
      for (const transport of opened) transport.release()
      throw refuse('E_HANDOFF_REFUSED', `descriptor cannot be used: ${(error as Error).message}`)
    }
  }

  private acceptedOf(moved: MovedHttp1 | MovedPair): Accepted | undefined {
    const { acceptor, listeners, road } = this.deps
    const bound = listeners.get(moved.listener)
    if (bound === undefined) return undefined
    const service = moved.proxy?.service
    const known = bound.spec.kind === 'relay' && service ? road.state.service(service as ServiceKey) : undefined
    return {
      listener: known === undefined ? bound.context : relayedContext(bound.context, known),
      proxy: moved.proxy,
      source: moved.source,
      acceptedAt: road.clock.now - moved.ageMs,
      onEnd: acceptor.counted(bound),
    }
  }
}

/** An idle connection of a pool, seen as something that can move. */
class PooledMovable implements Movable {
  readonly id: number
  readonly protocol = 'pooled'
  private readonly road: Road
  private readonly cluster: string
  private readonly pool: EndpointPool
  private readonly connection: PooledConnection

  constructor(road: Road, cluster: string, pool: EndpointPool, connection: PooledConnection) {
    this.id = road.live.nextId()
    this.road = road
    this.cluster = cluster
    this.pool = pool
    this.connection = connection
  }

  /** What it is counted under: it belongs to no listener. */
  get listener(): string {
    return this.cluster
  }

  get isReady(): boolean {
    return this.pool.idle.includes(this.connection) && this.connection.transport.descriptor >= 0
  }

  whenReady(callback: ((connection: Movable) => void) | null): void {
    if (callback !== null && this.isReady) queueMicrotask(() => callback(this))
  }

  detach(duplicate: DuplicateDescriptor): Detached | undefined {
    if (!this.isReady) return undefined
    const { connection, pool } = this
    const descriptors = [duplicate(connection.transport.descriptor)]
    pool.giveAway(connection)
    return {
      descriptors,
      state: {
        format: movedConnectionFormat,
        protocol: 'pooled',
        cluster: this.cluster,
        endpoint: pool.state.id,
        ageMs: this.road.clock.now - connection.openedAt,
        requests: connection.requests,
      },
    }
  }

  drain(): void {
    this.abort()
  }

  abort(): void {
    if (this.isReady) this.pool.giveAway(this.connection)
  }
}
