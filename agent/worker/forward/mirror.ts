import { Outcome } from '../balance/types.ts'
import type { EndpointState } from '../balance/types.ts'
import { overflow, waiting } from '../connect/endpoint-pool.ts'
import type { ConnectionWaiter, EndpointPool } from '../connect/endpoint-pool.ts'
import type { PooledConnection } from '../connect/pooled-connection.ts'
import type { Upstream } from '../connect/upstream.ts'
import type { Destination, HeaderEdits, Route } from '../route/types.ts'
import type { Clock } from '../transport/clock.ts'
import { KeptBytes } from '../transport/kept-bytes.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner, TimerWheel } from '../transport/timer-wheel.ts'
import type { RequestChanges } from './request-edits.ts'
import type { RequestId } from './request-id.ts'
import type { Fields, ReplyMessage, ReplyVerdict, RequestMessage, UpstreamOwner, UpstreamStream } from './streams.ts'

/** Content of one copy, and of all copies of a worker, that endpoints have not taken yet. */
const maxKeptBytes = 256 * 1024
const maxKeptInAll = 16 * 1024 * 1024

/** A copy that gets on with nothing for so long, its content or its reply, is given up. */
const timeLimitMs = 15_000

/**
 * For the reply of a copy in all, from the end of its content on. One that has no end (events) would hold its place
 * for ever: nobody reads it.
 */
const maxReplyMs = 60_000

export interface MirrorDeps {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly random: () => number
  readonly requestChanges: RequestChanges
}

/** Why a copy that was begun is given up. */
export const givenUpReasons = ['no-connection', 'too-slow', 'incomplete', 'long-reply'] as const
type GivenUp = (typeof givenUpReasons)[number]

/** The counts of a worker's copies. */
export interface MirrorBooks {
  inFlight: number
  sent: number
  failed: number
  keptBytes: number
  skip(reason: GivenUp): void
}

/** A request of which copies go elsewhere. */
export interface CopiedRequest {
  readonly request: RequestMessage
  readonly requestId: RequestId | null
  /** What filters made of its head. */
  readonly edits: HeaderEdits | null
}

/** One copy of a request. */
export class Mirror implements UpstreamOwner, TimerOwner, ConnectionWaiter {
  readonly callerKey = 'mirror'
  readonly contentTarget = null
  readonly caller = null
  private readonly deps: MirrorDeps
  private readonly books: MirrorBooks
  private readonly copied: CopiedRequest
  private readonly route: Route
  private readonly destination: Destination
  private readonly upstream: Upstream
  private readonly state: EndpointState
  private readonly startedAt: number
  private readonly timer: Timer
  private pool: EndpointPool | null = null
  private stream: UpstreamStream | null = null
  /** Content that waits for the endpoint. */
  private readonly kept: KeptBytes = new KeptBytes()
  private trailers: Fields | null = null
  /** The original was received whole. */
  private isWhole = false
  /** When its reply is to be there whole; Infinity while content may come. */
  private replyBy = Infinity
  private hasEnded = false
  private isSlow = false
  private status = 0
  private isOver = false

  constructor(
    deps: MirrorDeps,
    books: MirrorBooks,
    copied: CopiedRequest,
    route: Route,
    destination: Destination,
    upstream: Upstream,
    state: EndpointState,
  ) {
    this.deps = deps
    this.books = books
    this.copied = copied
    this.route = route
    this.destination = destination
    this.upstream = upstream
    this.state = state
    this.startedAt = deps.clock.now
    this.timer = new Timer(this, 0)
    upstream.cluster.beginAttempt(state, this.startedAt)
  }

  begin(): void {
    if (this.isOver) return
    this.armTimer()
    this.pool = this.upstream.pools.of(this.state, this.copied.request.source?.identity)
    const got = this.pool.acquire(this, false)
    if (got === overflow) this.giveUp('no-connection')
    else if (got !== waiting) this.onConnection(got)
  }

  // ---- the original goes on

  content(buf: Buffer, from: number, to: number): void {
    if (this.isOver) return
    const count = to - from
    if (this.kept.length + count > maxKeptBytes || this.books.keptBytes + count > maxKeptInAll) {
      this.giveUp('too-slow')
      return
    }
    this.kept.add(buf, from, to)
    this.books.keptBytes += count
  }

  endContent(trailers: Fields | null): void {
    this.isWhole = true
    this.replyBy = this.deps.clock.now + maxReplyMs
    this.trailers = trailers
  }

  /** Hands on what is kept, as far as the endpoint takes it. */
  flush(): void {
    const { stream } = this
    if (stream === null || this.isSlow || this.isOver) return
    while (this.kept.length > 0) {
      const bytes = this.kept.first()
      this.take(bytes.length)
      stream.content(bytes, 0, bytes.length)
    }
    if (this.isWhole && !this.hasEnded) {
      this.hasEnded = true
      stream.end(this.trailers)
    }
    this.armTimer()
    this.isSlow = !stream.flush()
  }

  /** Whatever became of it. A copy that is not whole by now never will be. */
  originalOver(): void {
    if (!this.isWhole && !this.isOver) this.giveUp('incomplete')
  }

  // ---- its connection

  onConnection(connection: PooledConnection): void {
    const stream = connection.open(this)
    this.stream = stream
    this.books.sent++
    const { destination, route } = this
    const { edits, request, requestId } = this.copied
    const { requestChanges } = this.deps
    const authority = shadowAuthority(request.authority)
    stream.send(request, requestChanges.forMirror(request, route, destination, edits, authority, requestId))
    this.flush()
  }

  onConnectFailed(outcome: Outcome): void {
    this.fail(outcome)
  }

  /** A copy goes where it was sent, or nowhere. */
  onEndpointLeft(): void {}

  onDrained(): void {
    this.isSlow = false
    this.flush()
  }

  // ---- its reply

  onInterim(): void {}

  onReply(reply: ReplyMessage): ReplyVerdict {
    if (this.status === 0) this.upstream.cluster.answered()
    this.status = reply.status
    return 'pass'
  }

  onContent(): void {}
  onMoved(): void {}

  onPause(): void {
    this.armTimer()
  }

  onEnd(): void {
    const stream = this.stream!
    this.stream = null
    this.close(this.status >= 500 ? Outcome.serverError : Outcome.ok)
    stream.release()
  }

  /** A copy asks for no upgrade. */
  onSwitch(): void {
    this.fail(Outcome.protocol)
  }

  onBroken(outcome: Outcome): void {
    this.stream = null
    this.fail(outcome)
  }

  // ---- time and end

  private armTimer(): void {
    const { clock, wheel } = this.deps
    wheel.arm(this.timer, Math.min(clock.now + timeLimitMs, this.replyBy))
  }

  onTimer(): void {
    const now = this.deps.clock.refresh()
    if (now >= this.replyBy && this.status > 0) this.giveUp('long-reply')
    else this.fail(Outcome.timeout)
  }

  private fail(outcome: Outcome): void {
    this.books.failed++
    this.end(outcome)
  }

  private giveUp(reason: GivenUp): void {
    this.books.skip(reason)
    this.end(Outcome.cancelled)
  }

  private end(outcome: Outcome): void {
    const { stream } = this
    this.stream = null
    this.close(outcome)
    if (stream === null) this.pool?.forget(this)
    else stream.abandon()
  }

  private close(outcome: Outcome): void {
    const { deps, startedAt, state, status, upstream } = this
    this.isOver = true
    this.take(this.kept.length)
    deps.wheel.drop(this.timer)
    const answered = outcome === Outcome.ok || outcome === Outcome.serverError
    const { now } = deps.clock
    upstream.cluster.endAttempt(state, outcome, answered ? status : 0, answered ? now - startedAt : -1, now)
    upstream.cluster.release('', status > 0)
    this.books.inFlight--
  }

  private take(count: number): void {
    this.books.keptBytes -= count
    if (count > 0) this.kept.drop(count)
  }
}

function shadowAuthority(authority: string): string {
  const colon = authority.lastIndexOf(':')
  return colon < 0 || authority.endsWith(']')
    ? `${authority}-shadow`
    : `${authority.slice(0, colon)}-shadow${authority.slice(colon)}`
}
