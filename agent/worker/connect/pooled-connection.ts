import type { LinkHome, OpenLink, UpstreamLink, UpstreamOwner, UpstreamStream } from '../forward/streams.ts'
import type { Transport } from '../transport/transport.ts'
import type { EndpointPool } from './endpoint-pool.ts'

/** One connection of a pool to its endpoint. */
export class PooledConnection implements LinkHome {
  readonly pool: EndpointPool
  readonly link: UpstreamLink
  /** Requests sent so far; more than 0 = reused. */
  requests = 0
  /** Monotonic ms. */
  openedAt: number
  idleSince: number

  constructor(pool: EndpointPool, openLink: OpenLink, transport: Transport, now: number) {
    this.pool = pool
    this.openedAt = now
    this.idleSince = now
    this.link = openLink(transport, this)
  }

  get transport(): Transport {
    return this.link.transport
  }

  open(owner: UpstreamOwner): UpstreamStream {
    return this.link.open(owner, this.requests++ > 0)
  }

  rest(now: number): void {
    this.idleSince = now
    this.link.rest()
  }

  linkFreed(): void {
    this.pool.release(this, true)
  }

  linkSpent(): void {
    this.pool.lost(this)
  }

  linkEnded(): void {
    this.pool.idleEnded(this)
  }

  linkLost(): void {
    this.pool.lost(this)
  }
}
