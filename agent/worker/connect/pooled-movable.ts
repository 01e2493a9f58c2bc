import { leaveProcess } from '../listen/leaving.ts'
import type { DescriptorCopies, Detached, Movable } from '../listen/movable.ts'
import type { Clock } from '../transport/clock.ts'
import type { EndpointPool } from './endpoint-pool.ts'
import type { PooledConnection } from './pooled-connection.ts'

/** An idle connection of a pool, seen as something that can move. */
export class PooledMovable implements Movable {
  readonly id: number
  readonly protocol = 'pooled'
  private readonly clock: Clock
  private readonly cluster: string
  private readonly pool: EndpointPool
  private readonly connection: PooledConnection

  constructor(id: number, clock: Clock, cluster: string, pool: EndpointPool, connection: PooledConnection) {
    this.id = id
    this.clock = clock
    this.cluster = cluster
    this.pool = pool
    this.connection = connection
  }

  /** What it is counted under: it belongs to no listener. */
  get listener(): string {
    return this.cluster
  }

  get isReady(): boolean {
    const { link, transport } = this.connection
    return this.isIdle && link.isMovable && transport.isMovable
  }

  get isIdle(): boolean {
    return this.pool.idle.includes(this.connection)
  }

  /** It is idle. */
  takeActivity(): boolean {
    return false
  }

  whenReady(callback: ((connection: Movable) => void) | null): void {
    if (callback !== null && this.isReady) queueMicrotask(() => callback(this))
  }

  detach(copies: DescriptorCopies): Detached | undefined {
    if (!this.isReady) return undefined
    const { connection, pool } = this
    const link = connection.link.leaving()
    if (!this.isReady) return undefined
    const { descriptors, format } = leaveProcess([connection.transport], copies)
    pool.giveAway(connection)
    return {
      descriptors,
      state: {
        ...format,
        protocol: link === null ? 'pooled' : 'pooled-link',
        link,
        cluster: this.cluster,
        endpoint: pool.state.id,
        ageMs: this.clock.now - connection.openedAt,
        requests: connection.requests,
        identity: pool.identity,
      },
    }
  }

  drain(): void {
    this.abort()
  }

  abort(): void {
    if (this.isIdle) this.pool.giveAway(this.connection)
  }
}
