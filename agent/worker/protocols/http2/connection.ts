import type { Accepted } from '../../listen/accepted.ts'
import { leaveProcess, movedAccepted } from '../../listen/leaving.ts'
import type { ConnectionFacts, DescriptorCopies, Detached, LiveStream, Movable } from '../../listen/movable.ts'
import { Timer } from '../../transport/timer-wheel.ts'
import type { TimerOwner } from '../../transport/timer-wheel.ts'
import type { Transport } from '../../transport/transport.ts'
import type { Spares } from '../../transport/spares.ts'
import type { Http2ConnectionDeps } from './connection-deps.ts'
import { Http2DownstreamStream } from './downstream-stream.ts'
import type { StreamConnection } from './downstream-stream.ts'
import type { Flow } from './flow.ts'
import { Http2Session } from './session.ts'
import type { SessionOwner } from './session-core.ts'
import type { SessionState } from './session-state.ts'
import type { Sender } from './sender.ts'
import { CallerConnection } from '../caller-connection.ts'

/**
 * After the notice that no more streams are taken, so long for the caller to have heard it, ms; its answer to a ping
 * ends it sooner.
 */
const noticeMs = 1000

/** A connection that is to move waits so long for a moment without streams, ms. */
const moveMs = 2000

const Drain = { no: 0, /** The notice was given. */ noticed: 1, /** No more streams are taken. */ final: 2 } as const
type Drain = (typeof Drain)[keyof typeof Drain]

/** The caller's side of HTTP/2: gives each stream of its session to an exchange. */
export class Http2Connection
  extends CallerConnection<Http2ConnectionDeps>
  implements SessionOwner, StreamConnection, TimerOwner, Movable
{
  readonly protocol = 'http2'
  readonly session: Http2Session
  private readonly streams: Spares<Http2DownstreamStream>
  private readonly timer: Timer
  private drainState: Drain = Drain.no
  private hasCarried = false
  private isOver = false
  /** When it is drained because it could not be moved. */
  private drainAt = Infinity

  constructor(
    deps: Http2ConnectionDeps,
    streams: Spares<Http2DownstreamStream>,
    accepted: Accepted,
    transport: Transport,
  ) {
    super(deps, accepted)
    this.streams = streams
    this.session = new Http2Session(deps, transport, true, this)
    this.timer = new Timer(this, 0)
  }

  get transport(): Transport {
    return this.session.transport
  }
  get sender(): Sender {
    return this.session.sender
  }

  /** Begins to read. `received`: bytes that were read before. */
  open(received: Buffer | null): void {
    this.deps.live.add(this)
    this.armIdle()
    this.session.open(received)
  }

  // ---- the session

  takeFlow(): Flow | null {
    this.hasCarried = true
    const stream = this.streams.take()
    stream.attach(this)
    return stream.flow
  }

  streamDone(): void {
    this.served++
  }

  onStreamEnd(): void {
    if (this.session.openStreams > 0 || this.isOver) return
    if (this.drainState === Drain.final) {
      this.session.close()
      return
    }
    this.armIdle()
    if (this.onReady !== null) this.offer(this)
  }

  onSettings(): void {}

  onPong(): void {
    if (this.drainState === Drain.noticed) this.endNotice()
  }

  /** The caller will open no more streams: those that it has are served. */
  onGoAway(): void {
    this.drainState = Drain.final
    if (this.session.openStreams === 0) this.session.close()
  }

  onClosed(): void {
    if (this.isOver) return
    this.isOver = true
    this.deps.wheel.drop(this.timer)
    this.deps.live.remove(this)
    this.accepted.onEnd()
  }

  // ---- time

  private armIdle(): void {
    const idleAt = this.deps.clock.now + this.deps.settings.limits.keepAliveTimeoutMs
    this.deps.wheel.arm(this.timer, Math.min(idleAt, this.drainAt))
  }

  onTimer(): void {
    this.deps.clock.refresh()
    if (this.isOver) return
    if (this.drainState === Drain.noticed) {
      this.endNotice()
      return
    }
    if (this.drainAt <= this.deps.clock.now) {
      this.drainAt = Infinity
      if (this.onReady !== null) this.drain()
      else this.armIdle()
      return
    }
    if (this.session.openStreams > 0) {
      this.armIdle()
      return
    }
    this.deps.tallies.keepAliveTimeouts++
    this.session.goAway()
    this.session.close()
  }

  // ---- leaving

  get isReady(): boolean {
    return !this.isOver && this.drainState === Drain.no && this.session.isBetween
  }

  override describe(): ConnectionFacts {
    return { ...super.describe(), streams: this.session.openStreams }
  }

  inFlight(): LiveStream[] {
    const users = [...this.session.streams.values()].map(({ user }) => user)
    return users.filter((user) => user instanceof Http2DownstreamStream)
  }

  get isIdle(): boolean {
    return this.session.openStreams === 0
  }

  takeActivity(): boolean {
    const isActive = this.hasCarried || this.session.openStreams > 0
    this.hasCarried = false
    return isActive
  }

  /** Between its streams. One that always has some is drained after a while, so that its caller goes on elsewhere. */
  whenReady(callback: ((connection: Movable) => void) | null): void {
    this.onReady = callback
    if (callback === null || this.isOver || this.drainState !== Drain.no) return
    if (this.isReady) this.offer(this)
    else if (this.drainAt === Infinity) {
      this.drainAt = this.deps.clock.refresh() + moveMs
      this.deps.wheel.arm(this.timer, this.drainAt)
    }
  }

  detach(copies: DescriptorCopies): Detached | undefined {
    if (!this.isReady) return undefined
    const { accepted, deps, served, session, transport } = this
    session.sender.write()
    if (!this.isReady) return undefined
    const moved = movedAccepted(accepted, transport, deps.clock.now)
    const state = session.state
    const { descriptors, format } = leaveProcess([transport], copies)
    this.leave()
    return { descriptors, state: { ...format, ...moved, protocol: 'http2', served, session: state } }
  }

  /** Instead of `open`: goes on with a connection of another process. `start` of its session follows. */
  restore(state: SessionState, served: number, drain: number): void {
    this.served = served
    this.drainState = drain as Drain
    this.deps.live.add(this)
    this.session.restore(state)
    if (drain === Drain.noticed) this.deps.wheel.arm(this.timer, this.deps.clock.now + noticeMs)
    else this.armIdle()
  }

  /** Everything of the connection itself can be said as data, its streams aside. */
  get canCross(): boolean {
    return !this.isOver && this.session.isCarriable
  }

  get drainStep(): number {
    return this.drainState
  }

  /** It goes on in another process; its streams have left. */
  leave(): void {
    this.session.leave()
    this.onClosed()
  }

  /** Notice, a ping, then the last id: no stream is opened that is not served (RFC 9113 section 6.8). */
  drain(): void {
    if (this.isOver || this.drainState !== Drain.no) return
    this.drainState = Drain.noticed
    this.session.giveNotice()
    this.session.ping()
    this.deps.wheel.arm(this.timer, this.deps.clock.now + noticeMs)
  }

  private endNotice(): void {
    this.drainState = Drain.final
    this.session.goAway()
    if (this.session.openStreams === 0) this.session.close()
  }

  abort(): void {
    if (this.isOver) return
    this.session.goAway()
    this.session.close()
  }
}
