import type { LinkHome, Scheme, UpstreamLink, UpstreamOwner, UpstreamStream } from '../../forward/streams.ts'
import { misfit } from '../../listen/shape.ts'
import type { Shape } from '../../listen/shape.ts'
import { Timer } from '../../transport/timer-wheel.ts'
import type { TimerOwner } from '../../transport/timer-wheel.ts'
import type { Transport } from '../../transport/transport.ts'
import type { Spares } from '../../transport/spares.ts'
import type { Http2Deps } from './deps.ts'
import type { Flow } from './flow.ts'
import { Http2Session } from './session.ts'
import type { SessionOwner } from './session-core.ts'
import { readSessionState } from './session-state.ts'
import type { SessionState } from './session-state.ts'
import type { Http2UpstreamStream, StreamLink, UpstreamState } from './upstream-stream.ts'

/** Streams of one connection until its endpoint says its own bound, which RFC 9113 wants at 100 or above. */
export const assumedStreams = 100
/** And at most, whatever it says. */
const mostStreams = 1000
/**
 * Streams that hear nothing for so long make us ask whether the endpoint is there; without an answer for as long again
 * it is not.
 */
const quietMs = 10_000
/**
 * Servers of gRPC close connections that ask more often than every five minutes. They forgive what was asked before
 * they said something on a stream, and two more.
 */
const askEveryMs = 310_000
const soonerMs = 60_000
const soonerAsks = 2

/** As plain data. */
export interface LinkState {
  /** Since we asked whether the endpoint is there; -1 = never. */
  readonly askedAgoMs: number
  readonly session: SessionState
}

const linkShape: Shape = { askedAgoMs: 'number' }

/** null = not what `LinkState` says. It comes from a process of this host, which may be of another release. */
export function readLinkState(given: unknown): LinkState | null {
  if (misfit(given, linkShape) !== null) return null
  const { askedAgoMs, session } = given as LinkState
  const read = readSessionState(session)
  return read === null ? null : { askedAgoMs, session: read }
}

/** One connection to an endpoint that carries many requests at once. */
export class Http2Link implements UpstreamLink, StreamLink, SessionOwner, TimerOwner {
  readonly session: Http2Session
  heard = 0
  private readonly deps: Http2Deps
  private readonly streams: Spares<Http2UpstreamStream>
  readonly home: LinkHome
  private readonly timer: Timer
  private running = 0
  private isOver = false
  private otherSigns = 0
  private signsBefore = 0
  /** `heard` when it was asked last, -1 = never. */
  private heardAtAsk = -1
  /** Before the five minutes are over. */
  private asksLeft = 0
  private askedAt = Number.NEGATIVE_INFINITY
  /** Streams that have to know the settings of the endpoint before they say anything. */
  private readonly waiting = new Set<Http2UpstreamStream>()

  /** `from`: goes on with a connection of another process; `start` follows when its streams have their users. */
  constructor(
    deps: Http2Deps,
    streams: Spares<Http2UpstreamStream>,
    transport: Transport,
    home: LinkHome,
    from: LinkState | null = null,
  ) {
    this.deps = deps
    this.streams = streams
    this.home = home
    this.timer = new Timer(this, 0)
    this.session = new Http2Session(deps, transport, false, this)
    if (from === null) {
      this.session.open(null)
      return
    }
    this.session.restore(from.session)
    this.running = this.session.openStreams
    if (from.askedAgoMs >= 0) {
      this.askedAt = deps.clock.now - from.askedAgoMs
      this.heardAtAsk = 0
    }
    if (this.running > 0) deps.wheel.arm(this.timer, deps.clock.now + quietMs)
  }

  // ---- leaving this process

  get canCross(): boolean {
    return (
      !this.isOver && this.session.isCarriable && this.home.place !== null && this.running === this.session.openStreams
    )
  }

  get state(): LinkState {
    const { askedAt, deps, session } = this
    const askedAgoMs = askedAt === Number.NEGATIVE_INFINITY ? -1 : deps.clock.now - askedAt
    return { askedAgoMs, session: session.state }
  }

  /** It goes on elsewhere; so do its streams, which have left. */
  leave(): void {
    this.left()
    this.home.linkLeft()
  }

  /** A stream of another process, by its id. */
  resume(id: number, owner: UpstreamOwner, state: UpstreamState): UpstreamStream {
    const stream = this.streams.take()
    stream.restore(this, owner, this.session.streams.get(id)!, state)
    return stream
  }

  get isMovable(): boolean {
    return !this.isOver && this.running === 0 && this.session.isBetween
  }

  leaving(): LinkState {
    this.session.sender.write()
    return this.state
  }

  left(): void {
    this.end()
    this.session.leave()
  }

  // ---- streams

  get scheme(): Scheme {
    return this.home.scheme
  }

  get transport(): Transport {
    return this.session.transport
  }

  get freeStreams(): number {
    const { session } = this
    if (!session.canOpen) return 0
    const bound = session.remote.isKnown ? Math.min(session.remote.maxStreams, mostStreams) : assumedStreams
    return Math.max(0, bound - this.running)
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
    this.otherSigns++
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

  awaitSettings(stream: Http2UpstreamStream): void {
    this.waiting.add(stream)
  }

  forget(stream: Http2UpstreamStream): void {
    this.waiting.delete(stream)
  }

  onSettings(): void {
    if (this.waiting.size > 0) {
      const waiting = [...this.waiting]
      this.waiting.clear()
      for (const stream of waiting) stream.onSettings()
    }
    // more than was assumed, or than it said before
    if (!this.isOver && this.running > 0 && this.freeStreams > 0) this.home.linkWidened()
  }

  onPong(): void {
    this.otherSigns++
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
    for (const stream of this.waiting) stream.onLost()
    if (this.running > 0) this.home.linkSpent()
    else this.home.linkEnded()
  }

  /** That the endpoint is there, or that we do not wait for it. */
  private get signs(): number {
    return this.heard + this.otherSigns
  }

  private mayAsk(now: number): boolean {
    const waited = now - this.askedAt
    if (this.heard !== this.heardAtAsk) this.asksLeft = soonerAsks
    else if (waited < askEveryMs) {
      if (this.asksLeft === 0 || waited < soonerMs) return false
      this.asksLeft--
    }
    this.heardAtAsk = this.heard
    this.askedAt = now
    return true
  }

  onTimer(): void {
    const { clock, wheel } = this.deps
    const now = clock.refresh()
    if (this.running === 0) return
    if (this.signs === this.signsBefore) {
      if (this.session.pings > 0) {
        this.session.abort()
        return
      }
      if (this.mayAsk(now)) this.session.ping()
    }
    this.signsBefore = this.signs
    wheel.arm(this.timer, now + quietMs)
  }
}
