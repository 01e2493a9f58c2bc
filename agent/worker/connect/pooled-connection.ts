import type { LinkHome, LinkPlace, Scheme, UpstreamLink, UpstreamOwner, UpstreamStream } from '../forward/streams.ts'
import type { Transport } from '../transport/transport.ts'

/** The pool of a connection. */
export interface ConnectionHome {
  streamOpened(connection: PooledConnection): void
  /** It has more room than before: a stream has ended, or its endpoint takes more. */
  streamEnded(connection: PooledConnection): void
  release(connection: PooledConnection, isReusable: boolean): void
  spent(connection: PooledConnection): void
  idleEnded(connection: PooledConnection): void
  lost(connection: PooledConnection): void
  placeOf(connection: PooledConnection): LinkPlace
  readonly scheme: Scheme
}

/** One connection of a pool to its endpoint. */
export class PooledConnection implements LinkHome {
  private readonly pool: ConnectionHome
  readonly link: UpstreamLink
  readonly scheme: Scheme
  /** Requests that run over it now. */
  openStreams = 0
  /** Requests sent so far; more than 0 = reused. */
  requests = 0
  /** No further request comes to it: its endpoint is spoken to in another way now. */
  isRetired = false
  /** Monotonic ms. */
  openedAt: number
  idleSince: number

  constructor(pool: ConnectionHome, openLink: (home: LinkHome) => UpstreamLink, now: number) {
    this.pool = pool
    this.scheme = pool.scheme
    this.openedAt = now
    this.idleSince = now
    this.link = openLink(this)
  }

  get place(): LinkPlace {
    return this.pool.placeOf(this)
  }

  get transport(): Transport {
    return this.link.transport
  }

  open(owner: UpstreamOwner): UpstreamStream {
    const stream = this.link.open(owner, this.requests > 0)
    this.requests++
    this.openStreams++
    if (this.openStreams > 1 || this.link.freeStreams > 0) this.pool.streamOpened(this)
    return stream
  }

  rest(now: number): void {
    this.idleSince = now
    this.link.rest()
  }

  linkFreed(): void {
    if (--this.openStreams === 0) this.pool.release(this, true)
    else this.pool.streamEnded(this)
  }

  linkWidened(): void {
    if (this.openStreams > 0) this.pool.streamEnded(this)
  }

  linkSpent(): void {
    this.openStreams = 0
    this.pool.spent(this)
  }

  linkEnded(): void {
    this.pool.idleEnded(this)
  }

  linkLost(): void {
    this.pool.lost(this)
  }

  linkLeft(): void {
    this.pool.spent(this)
  }
}
