import type { LinkHome, UpstreamLink, UpstreamOwner, UpstreamStream } from '../../forward/streams.ts'
import { Timer } from '../../transport/timer-wheel.ts'
import type { TimerOwner } from '../../transport/timer-wheel.ts'
import type { Transport } from '../../transport/transport.ts'
import type { Http2Deps } from './deps.ts'
import type { Flow } from './flow.ts'
import { Http2Session } from './session.ts'
import type { SessionOwner } from './session-core.ts'
import type { StreamLink } from './upstream-stream.ts'
import type { Http2UpstreamStreams } from './upstream-streams.ts'

/** Streams of one connection until its endpoint says its own bound, which RFC 9113 wants at 100 or above. */
export const assumedStreams = 100
/** And at most, whatever it says. */
const mostStreams = 1000
/**
 * Streams that hear nothing for so long make us ask whether the endpoint is there; without an answer for as long again
 * it is not.
 */
const quietMs = 10_000
/** But not again within this: servers of gRPC close connections that ask more often than every five minutes. */
const askEveryMs = 310_000

/** One connection to an endpoint that carries many requests at once. */
export class Http2Link implements UpstreamLink, StreamLink, SessionOwner, TimerOwner {
  readonly session: Http2Session
  readonly isMovable = false
  heard = 0
  private readonly deps: Http2Deps
  private readonly streams: Http2UpstreamStreams
  private readonly home: LinkHome
  private readonly timer: Timer
  private running = 0
  private isOver = false
  private heardBefore = 0
  private askedAt = Number.NEGATIVE_INFINITY

  constructor(deps: Http2Deps, streams: Http2UpstreamStreams, transport: Transport, home: LinkHome) {
    this.deps = deps
    this.streams = streams
    this.home = home
    this.timer = new Timer(this, 0)
    this.session = new Http2Session(deps, transport, false, this)
    this.session.open(null)
  }

  get transport(): Transport {
    return this.session.transport
  }

  get freeStreams(): number {
    const { session } = this
    if (!session.canOpen) return 0
    const bound = session.remote.isKnown ? Math.min(session.remote.maxStreams, mostStreams) : assumedStreams
    return Math.max(0, bound - session.openStreams)
  }

  open(owner: UpstreamOwner, isReused: boolean): UpstreamStream {
    const { clock, wheel } = this.deps
    const stream = this.streams.take()
    if (++this.running === 1 && !this.timer.isArmed) wheel.arm(this.timer, clock.now + quietMs)
    stream.begin(this, owner, isReused)
    return stream
  }

  rest(): void {}

  close(): void {
    this.end()
    this.session.goAway()
    this.session.close()
  }

  private end(): void {
    this.isOver = true
    this.deps.wheel.drop(this.timer)
  }

  neverBegan(): void {
    this.onStreamEnd()
  }

  /** Of a server only. */
  takeFlow(): Flow | null {
    return null
  }

  onStreamEnd(): void {
    if (this.isOver) return
    this.running--
    this.heard++
    if (this.running > 0 || this.session.canOpen || !this.mustLeave) this.home.linkFreed()
    else this.spent()
  }

  /** No stream will ever be opened on it again; being full is something else. */
  private get mustLeave(): boolean {
    return this.session.isGoneAway || this.session.openStreams === 0
  }

  private spent(): void {
    this.close()
    this.home.linkSpent()
  }

  onSettings(): void {}

  onPong(): void {
    this.heard++
  }

  /** Streams that the endpoint does not serve were told; the others come to their end here. */
  onGoAway(): void {
    if (this.isOver || this.running > 0) return
    this.close()
    this.home.linkEnded()
  }

  onClosed(): void {
    if (this.isOver) return
    this.end()
    if (this.running > 0) this.home.linkSpent()
    else this.home.linkEnded()
  }

  onTimer(): void {
    const { clock, wheel } = this.deps
    const now = clock.refresh()
    if (this.running === 0) return
    if (this.heard === this.heardBefore) {
      if (this.session.pings > 0) {
        this.session.abort()
        return
      }
      if (now - this.askedAt >= askEveryMs) {
        this.askedAt = now
        this.session.ping()
      }
    }
    this.heardBefore = this.heard
    wheel.arm(this.timer, now + quietMs)
  }
}
