/**
 * The connections for requests to one endpoint.
 *
 * - Reuse: last in, first out, so that the working set stays small and the rest ages out. A connection comes back only
 *   after a whole exchange (R38); whoever releases it says so.
 * - A connection may carry several requests at once, as many as its protocol says (`freeStreams` of its link: 1 in
 *   HTTP/1.1). One that has room beside what it carries is taken before an idle one.
 * - No connection idle and none with room: the request waits, fairly between callers, for the first one that becomes
 *   free, be it a new one or a returned one. Never more dials are under way than the waiting requests need. A dial that
 *   fails fails for all whom it would have carried, so that they do not wait for one time-out after another.
 * - Bounds: connections and waiting requests are limits of the cluster; at the bound an idle connection of a sibling
 *   endpoint gives way first, then the request waits, then it is refused with E_BALANCE_OVERFLOW.
 * - Idle connections are read, so a connection that the endpoint closes is noticed at once, and unasked bytes end it.
 * - An endpoint that left: idle connections close at once, busy ones after their exchange. Whoever waits for a
 *   connection is told and may choose another endpoint; who stays gets the next connection.
 */
import { provedId } from '../../../contracts/peer-identity.ts'
import type { Cluster, EndpointState } from '../balance/types.ts'
import type { Outcome } from '../balance/types.ts'
import type { LinkHome, LinkPlace, Scheme, UpstreamCodec, UpstreamLink } from '../forward/streams.ts'
import type { TimerOwner } from '../transport/timer-wheel.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { Transport } from '../transport/transport.ts'
import type { PendingDial } from './dialer.ts'
import { FairQueue } from './fair-queue.ts'
import type { Queued } from './fair-queue.ts'
import { PooledConnection } from './pooled-connection.ts'
import type { ConnectionHome } from './pooled-connection.ts'
import type { PoolDeps } from './pool-deps.ts'
import { schemeOf } from './upstream-tls.ts'

export interface ConnectionWaiter extends Queued {
  onConnection(connection: PooledConnection): void
  onConnectFailed(outcome: Outcome, reason: string): void
  /**
   * The endpoint left the set while the request waits for it. Nothing was sent: it may `forget` itself and go
   * elsewhere.
   */
  onEndpointLeft(): void
}

/** The request waits; one of the waiter's methods will be called. */
export const waiting = 0
/** The bounds of the cluster are reached; nothing will be called. */
export const overflow = 1

/** The pools of the whole cluster, which share its bounds. */
export interface PoolHome {
  /** Of the destination. */
  readonly key: string
  readonly cluster: Cluster
  readonly deps: PoolDeps
  /** What the endpoints are spoken to in. */
  readonly codec: UpstreamCodec
  /** And its word in ALPN. */
  readonly alpn: readonly string[]
  readonly isClosed: boolean
  /** Connections of all endpoints. */
  open: number
  /** Closes an idle connection of another endpoint; false when there is none. */
  makeRoom(except: object): boolean
  /** A connection slot came free. */
  pump(): void
  removePool(pool: EndpointPool): void
}

export class EndpointPool implements TimerOwner, ConnectionHome {
  readonly state: EndpointState
  /** SPIFFE id of the application whose connections these are alone; undefined = the host's own. */
  readonly identity: string | undefined
  readonly home: PoolHome
  readonly idle: PooledConnection[] = []
  /** Carry requests and have room for more. */
  private readonly shared: PooledConnection[] = []
  private readonly waiters = new FairQueue<ConnectionWaiter>()
  /** Repeats after a stale connection: a returned one, which may be just as stale, is not for them. */
  private readonly freshWaiters = new FairQueue<ConnectionWaiter>()
  /** Whose dial has failed: they are being told. */
  private readonly failed = new Set<ConnectionWaiter>()
  /** All that exist, idle and busy, tunnels included. */
  private readonly connections = new Set<PooledConnection>()
  /** Metric scope of the last request; see `observe/request-metrics.ts`. */
  scope: object | null = null
  private readonly dials = new Set<PendingDial>()
  private readonly timer: Timer

  constructor(home: PoolHome, state: EndpointState, identity: string | undefined) {
    this.home = home
    this.state = state
    this.identity = identity
    this.timer = new Timer(this, 0)
  }

  /**
   * A connection on which the caller opens a stream at once, or `waiting`, or `overflow`. `wantsFresh`: one that was
   * never used before, for a repeat after a stale one. A connection that carries several requests ends for all of them
   * at once, so those that are left are as good as a fresh one.
   */
  acquire(waiter: ConnectionWaiter, wantsFresh: boolean): PooledConnection | typeof waiting | typeof overflow {
    const isFresh = wantsFresh && this.home.codec.streamsPerLink === 1
    if (!isFresh) {
      const connection = this.takeShared() ?? this.takeIdle()
      if (connection !== null) return connection
    }
    const { cluster } = this.home
    if (!cluster.tryPending()) return overflow
    if (isFresh) this.freshWaiters.push(waiter)
    else this.waiters.push(waiter)
    this.dialForWaiters()
    return waiting
  }

  /** Connections that exist, idle and busy. */
  get open(): number {
    return this.connections.size
  }

  /** Requests that wait for a connection. */
  get waitingCount(): number {
    return this.waiters.size + this.freshWaiters.size
  }

  /** False when it was not waiting any more. */
  forget(waiter: ConnectionWaiter): boolean {
    if (this.failed.delete(waiter)) return true
    if (!this.waiters.remove(waiter) && !this.freshWaiters.remove(waiter)) return false
    this.home.cluster.endPending()
    return true
  }

  /** A stream was opened: whether there is room for another one. */
  streamOpened(connection: PooledConnection): void {
    const { shared } = this
    const index = shared.indexOf(connection)
    if (this.hasRoom(connection)) {
      if (index < 0) shared.push(connection)
    } else if (index >= 0) {
      shared.splice(index, 1)
    }
  }

  /** One of several streams has ended, or the endpoint takes more: there is room for whoever waits. */
  streamEnded(connection: PooledConnection): void {
    if (!this.hasRoom(connection)) return
    this.serveBeside(connection)
    if (this.hasRoom(connection) && !this.shared.includes(connection)) this.shared.push(connection)
  }

  private serveBeside(connection: PooledConnection): void {
    while (this.waiters.size > 0 && this.hasRoom(connection)) {
      this.home.cluster.endPending()
      this.waiters.take()!.onConnection(connection)
    }
  }

  private hasRoom(connection: PooledConnection): boolean {
    const { link, openStreams } = connection
    if (link.freeStreams === 0 || this.state.isGone || this.home.isClosed) return false
    if (openStreams === 0 || openStreams >= this.mostStreams) return false
    return !this.isWorn(connection) && !this.isTooOld(connection)
  }

  private get mostStreams(): number {
    return this.home.cluster.policy.pool.maxConcurrentStreams || Number.MAX_SAFE_INTEGER
  }

  private isWorn(connection: PooledConnection): boolean {
    const { maxRequestsPerConnection } = this.home.cluster.policy.pool
    return connection.isRetired || (maxRequestsPerConnection > 0 && connection.requests >= maxRequestsPerConnection)
  }

  /**
   * Gives a connection back on which nothing runs any more. `isReusable`: rule R38 holds for it. Nothing of it may be
   * touched afterwards.
   */
  release(connection: PooledConnection, isReusable: boolean): void {
    const { pool } = this.home.cluster.policy
    if (this.shared.length > 0) this.unshare(connection)
    if (!isReusable || this.isWorn(connection) || this.isTooOld(connection)) {
      this.discard(connection)
      return
    }
    let waiter: ConnectionWaiter | undefined
    if (this.freshWaiters.size > 0) {
      if (connection.requests === 0) {
        waiter = this.freshWaiters.take()
      } else if (this.waiters.size === 0 && this.dials.size === 0) {
        // No dial is under way for them, so a bound is in the way: this connection makes room
        this.discard(connection)
        return
      }
    }
    if (waiter === undefined && this.waiters.size > 0) waiter = this.waiters.take()
    if (waiter !== undefined) {
      this.home.cluster.endPending()
      waiter.onConnection(connection)
      this.serveBeside(connection)
      return
    }
    if (this.state.isGone || this.home.isClosed) {
      this.discard(connection)
      return
    }
    const now = this.home.deps.clock.now
    connection.rest(now)
    this.idle.push(connection)
    if (!this.timer.isArmed) this.home.deps.wheel.arm(this.timer, now + pool.idleTimeoutMs)
  }

  /** Ends a connection that is in the caller's hands. */
  discard(connection: PooledConnection): void {
    connection.link.close()
    this.lost(connection)
  }

  /** A connection is of no more use and closed already. */
  spent(connection: PooledConnection): void {
    if (this.shared.length > 0) this.unshare(connection)
    this.lost(connection)
  }

  private unshare(connection: PooledConnection): void {
    const index = this.shared.indexOf(connection)
    if (index >= 0) this.shared.splice(index, 1)
  }

  /** The slot of a connection that is gone, or was given away to a tunnel that has ended. */
  lost(connection: PooledConnection): void {
    this.connections.delete(connection)
    this.home.open--
    this.home.cluster.endConnection()
    this.home.pump()
    this.dropIfUnused()
  }

  /** From an idle connection that ended. */
  idleEnded(connection: PooledConnection): void {
    const index = this.idle.indexOf(connection)
    if (index >= 0) this.idle.splice(index, 1)
    this.lost(connection)
  }

  /**
   * Takes over a connection of an earlier process as an idle one. undefined when there is no room, or its codec does
   * not understand `from`; it is then closed.
   */
  adopt(transport: Transport, requests: number, ageMs: number, from: unknown): PooledConnection | undefined {
    if (this.state.isGone || !this.home.codec.understands(from) || !this.home.cluster.tryConnection()) {
      transport.close()
      return undefined
    }
    const connection = this.opened(transport, from)
    connection.requests = requests
    connection.openedAt -= ageMs
    this.release(connection, true)
    return connection
  }

  get scheme(): Scheme {
    return schemeOf(this.home.cluster.policy.tls)
  }

  placeOf({ openedAt, requests }: PooledConnection): LinkPlace {
    const { identity, state } = this
    const { deps, key } = this.home
    return { cluster: key, endpoint: state.id, ageMs: deps.clock.now - openedAt, requests, identity }
  }

  /** Takes over a connection of an earlier process with its streams, past the bounds. */
  adoptBusy<L extends UpstreamLink>(place: LinkPlace, streams: number, open: (home: LinkHome) => L): L {
    this.home.cluster.numbers.connections++
    let link!: L
    const connection = this.openedBy((home) => (link = open(home)))
    connection.requests = place.requests
    connection.openedAt -= place.ageMs
    connection.openStreams = streams
    if (this.hasRoom(connection)) this.shared.push(connection)
    return link
  }

  /** Removes an idle connection that leaves this process. */
  giveAway(connection: PooledConnection): void {
    const index = this.idle.indexOf(connection)
    if (index < 0) return
    this.idle.splice(index, 1)
    connection.transport.release()
    connection.link.left()
    this.lost(connection)
  }

  /** Closes the connection that has been idle longest; false when there is none. */
  closeOldestIdle(): boolean {
    const connection = this.idle.shift()
    if (connection === undefined) return false
    this.discard(connection)
    return true
  }

  /** Closes what is idle; busy connections close when they are released. */
  closeIdle(): void {
    while (this.closeOldestIdle());
    this.home.deps.wheel.drop(this.timer)
  }

  /** The endpoint is spoken to in another way from now on: nobody new comes to the connections that are there. */
  retire(): void {
    this.closeIdle()
    this.shared.length = 0
    for (const connection of this.connections) connection.isRetired = true
  }

  /**
   * The endpoint left: nobody new comes, dials that nobody waits for any more end, and what is served there ends soon
   * if its host is gone.
   */
  leave(): void {
    this.closeIdle()
    this.watchClosely()
    this.shared.length = 0
    for (const waiter of [...this.waiters.all(), ...this.freshWaiters.all()]) waiter.onEndpointLeft()
    if (this.waitingCount > 0) return
    for (const dial of this.dials) {
      dial.cancel()
      this.home.cluster.endConnection()
    }
    this.dials.clear()
    this.dropIfUnused()
  }

  /** Busy connections end within seconds if the host cannot be reached. */
  watchClosely(): void {
    const { cluster, deps } = this.home
    for (const { transport } of this.connections) deps.dialer.watchClosely(transport, cluster.policy.pool)
  }

  /** Dials as long as more requests wait than the dials under way will carry, and the bounds allow. */
  dialForWaiters(): void {
    const { cluster, codec, deps } = this.home
    const perLink = Math.min(codec.streamsPerLink, this.mostStreams)
    while (this.dials.size * perLink < this.waitingCount) {
      if (!cluster.tryConnection()) {
        // Only an endpoint without any connection takes room from a sibling; else its own next free one serves.
        if (this.open + this.dials.size > 0 || !this.home.makeRoom(this) || !cluster.tryConnection()) return
      }
      const dial: PendingDial = deps.dialer.dial(
        this.state,
        cluster,
        { identity: this.identity, protocols: this.home.alpn },
        {
          onDialed: (transport) => {
            this.dials.delete(dial)
            this.release(this.opened(transport), true)
            // it may carry fewer than the dial was for
            if (perLink > 1 && this.waitingCount > 0) this.dialForWaiters()
          },
          onDialFailed: (outcome, reason) => {
            this.dials.delete(dial)
            cluster.endConnection()
            this.failWaiters(Math.min(perLink, this.waitingCount - this.dials.size * perLink), outcome, reason)
            this.home.pump()
            this.dropIfUnused()
          },
        },
      )
      this.dials.add(dial)
    }
  }

  /** `count`: below 1 is one, for whom another dial stood as well. */
  private failWaiters(count: number, outcome: Outcome, reason: string): void {
    const { failed } = this
    // all of them before the first is told: whoever tries again waits for another dial
    do {
      const waiter = this.takeWaiter()
      if (waiter === undefined) break
      this.home.cluster.endPending()
      failed.add(waiter)
    } while (failed.size < count)
    for (const waiter of failed) {
      failed.delete(waiter)
      waiter.onConnectFailed(outcome, reason)
    }
  }

  onTimer(): void {
    const { clock, wheel } = this.home.deps
    const now = clock.refresh()
    const { idleTimeoutMs } = this.home.cluster.policy.pool
    for (let oldest = this.idle[0]; oldest !== undefined; oldest = this.idle[0]) {
      if (oldest.idleSince + idleTimeoutMs > now && !this.isTooOld(oldest)) break
      this.idle.shift()
      this.discard(oldest)
    }
    const oldest = this.idle[0]
    if (oldest !== undefined) wheel.arm(this.timer, oldest.idleSince + idleTimeoutMs)
  }

  private takeWaiter(): ConnectionWaiter | undefined {
    return this.freshWaiters.size > 0 ? this.freshWaiters.take() : this.waiters.take()
  }

  /** One that carries requests and takes another. */
  private takeShared(): PooledConnection | null {
    const { shared } = this
    while (shared.length > 0) {
      const connection = shared[shared.length - 1]!
      if (this.hasRoom(connection)) return connection
      // its endpoint said that it leaves, or it grew old
      shared.pop()
    }
    return null
  }

  private takeIdle(): PooledConnection | null {
    for (;;) {
      const connection = this.idle.pop()
      if (connection === undefined) return null
      if (!this.isTooOld(connection)) return connection
      this.discard(connection)
    }
  }

  private isTooOld(connection: PooledConnection): boolean {
    const { maxConnectionAgeMs } = this.home.cluster.policy.pool
    return maxConnectionAgeMs > 0 && this.home.deps.clock.now - connection.openedAt >= maxConnectionAgeMs
  }

  private opened(transport: Transport, from: object | null = null): PooledConnection {
    const { codec } = this.home
    this.state.serverId = provedId(transport.identity)
    return this.openedBy((home) => codec.openLink(transport, home, from))
  }

  private openedBy(openLink: (home: LinkHome) => UpstreamLink): PooledConnection {
    this.home.open++
    const connection = new PooledConnection(this, openLink, this.home.deps.clock.now)
    this.connections.add(connection)
    return connection
  }

  private dropIfUnused(): void {
    if (!this.state.isGone || this.open + this.dials.size + this.waitingCount > 0) return
    this.home.deps.wheel.drop(this.timer)
    this.home.removePool(this)
  }
}
