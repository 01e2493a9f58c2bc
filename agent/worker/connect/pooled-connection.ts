import type { Transport, TransportOwner } from '../transport/transport.ts'
import type { EndpointPool } from './endpoint-pool.ts'

/** One HTTP connection to an endpoint. While idle it owns its transport; a user sets `transport.owner` to itself. */
export class PooledConnection implements TransportOwner {
  readonly pool: EndpointPool
  readonly transport: Transport
  /** Requests sent so far; more than 0 = reused. */
  requests = 0
  /** Monotonic ms. */
  openedAt: number
  idleSince: number

  constructor(pool: EndpointPool, transport: Transport, now: number) {
    this.pool = pool
    this.transport = transport
    this.openedAt = now
    this.idleSince = now
    transport.owner = this
  }

  rest(now: number): void {
    this.idleSince = now
    this.transport.owner = this
  }

  onBytes(): void {
    // Nothing was asked: whatever this is, the next request must not get it as its reply.
    this.transport.close()
    this.pool.idleEnded(this)
  }

  onEnd(): void {
    this.transport.close()
    this.pool.idleEnded(this)
  }

  onDrained(): void {}

  onClosed(): void {
    this.pool.idleEnded(this)
  }
}
