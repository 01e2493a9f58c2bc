import { isAgentInbound } from '../../../contracts/endpoint.ts'
import { headers } from '../../../contracts/words.ts'
import { Outcome } from '../balance/types.ts'
import type { EndpointState } from '../balance/types.ts'
import { overflow, waiting } from '../connect/endpoint-pool.ts'
import type { ConnectionWaiter, EndpointPool } from '../connect/endpoint-pool.ts'
import type { PooledConnection } from '../connect/pooled-connection.ts'
import type { Upstream } from '../connect/upstream.ts'
import type { Clock } from '../transport/clock.ts'
import { Spares } from '../transport/spares.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner, TimerWheel } from '../transport/timer-wheel.ts'
import type { Transport } from '../transport/transport.ts'
import { Delivery, deliveryOf } from './delivery.ts'
import type { AttemptState } from './exchange-state.ts'
import type { DownstreamStream, Fields, ReplyMessage, ReplyVerdict, UpstreamOwner, UpstreamStream } from './streams.ts'

export interface AttemptDeps {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly tallies: { replyBodyTimeouts: number }
}

/** Whose attempt it is: the exchange. */
export interface AttemptUser {
  readonly stream: DownstreamStream
  readonly callerKey: string
  /** 0 = none. */
  readonly perTryTimeoutMs: number
  /** Between two pieces of the reply's content; 0 = it may take any time. */
  readonly contentIdleMs: number
  /** The attempt has a connection: gives it the request as far as it came, unflushed. */
  sendRequest(attempt: Attempt, stream: UpstreamStream): void
  /** The endpoint takes no more of the request for now, or takes it again. */
  requestSlow(): void
  requestDrained(): void
  /** It took all that came so far. */
  requestTaken(): void
  onInterim(attempt: Attempt, reply: ReplyMessage): void
  /**
   * `discard`: this reply is not the answer, and the attempt is over when the call returns. `over`: the user has ended
   * it.
   */
  onReply(attempt: Attempt, reply: ReplyMessage): ReplyVerdict | 'over'
  onReplyContent(buf: Buffer, from: number, to: number): void
  /** Content that went to `contentTarget`. */
  onMoved(count: number): void
  readonly contentTarget: Transport | null
  /** False = the caller takes no more; the attempt is resumed later. */
  flushReply(): boolean
  /** The reply is whole: ends and flushes it. */
  /** False: it was broken off instead, and the attempt with it. */
  endReply(trailers: Fields | null): boolean
  /** Behind `endReply`: the attempt is over. */
  replyDone(): void
  onSwitch(attempt: Attempt, reply: ReplyMessage, buf: Buffer, from: number, to: number): void
  /** It brought no whole reply; it is still the user's to end. */
  attemptFailed(attempt: Attempt, outcome: Outcome, reason: string): void
  /** Nothing was sent yet, and its endpoint left the set. */
  endpointLeft(attempt: Attempt): void
}

const Phase = { none: 0, waiting: 1, head: 2, content: 3 } as const
type Phase = (typeof Phase)[keyof typeof Phase]

/** Uses of an attempt's timer. */
const TimerKind = { perTry: 0, contentIdle: 1 } as const

/**
 * One try of a request at one endpoint: gets a connection, opens a stream on it, and hands the reply to the exchange.
 * Reused for one try after another; after `finish`, `discard` or `abandon` it is back in the store and must not be
 * touched.
 */
export class Attempt implements UpstreamOwner, TimerOwner, ConnectionWaiter {
  user: AttemptUser | null = null
  state: EndpointState | null = null
  upstream: Upstream | null = null
  startedAt = 0
  /** Counts against the cluster's retries until it ends. */
  holdsRetry = false
  /**
   * What is known when it failed: whether the endpoint may have read some of the request, whether any byte of a reply
   * came, and whether its connection had been used before.
   */
  mayBeRead = false
  hasReply = false
  isReused = false
  /** Of a stream that broke: its connection lives on. */
  isResetAlone = false
  /** Where it waits. */
  private pool: EndpointPool | null = null
  private stream: UpstreamStream | null = null
  /** Whether the balancer has heard how it ended. */
  private isJudged = false
  private phase: Phase = Phase.none
  /** The timer was armed since the attempt began; most attempts never touch it. */
  private usesTimer = false
  private readonly deps: AttemptDeps
  private readonly store: Spares<Attempt>
  private readonly timer: Timer

  constructor(deps: AttemptDeps, store: Spares<Attempt>) {
    this.deps = deps
    this.store = store
    this.timer = new Timer(this, TimerKind.perTry)
  }

  get callerKey(): string {
    return this.user === null ? '' : this.user.callerKey
  }

  /** It takes the request's content. */
  get isStreaming(): boolean {
    return this.stream !== null
  }

  /** False when the bounds of the cluster are reached: the attempt is then over and was not counted. */
  begin(
    user: AttemptUser,
    upstream: Upstream,
    state: EndpointState,
    holdsRetry: boolean,
    needsFresh: boolean,
  ): boolean {
    const { clock, wheel } = this.deps
    this.user = user
    this.upstream = upstream
    this.state = state
    this.startedAt = clock.now
    this.holdsRetry = holdsRetry
    this.mayBeRead = false
    this.hasReply = false
    this.isReused = false
    this.isResetAlone = false
    this.isJudged = false
    upstream.cluster.beginAttempt(state, this.startedAt)
    const perTry = user.perTryTimeoutMs
    if (perTry > 0) {
      this.usesTimer = true
      this.timer.kind = TimerKind.perTry
      wheel.arm(this.timer, this.startedAt + perTry)
    }
    const pool = upstream.pools.of(state, user.stream.accepted.source?.identity)
    const got = pool.acquire(this, needsFresh)
    if (got === waiting) {
      this.pool = pool
      this.phase = Phase.waiting
      return true
    }
    if (got === overflow) {
      this.judge(Outcome.cancelled, 0, -1)
      this.rest()
      return false
    }
    this.use(got)
    return true
  }

  onConnection(connection: PooledConnection): void {
    this.use(connection)
  }

  onConnectFailed(outcome: Outcome, reason: string): void {
    this.phase = Phase.none
    this.user!.attemptFailed(this, outcome, reason)
  }

  onEndpointLeft(): void {
    this.user!.endpointLeft(this)
  }

  private use(connection: PooledConnection): void {
    const user = this.user!
    const stream = connection.open(this)
    this.stream = stream
    this.phase = Phase.head
    this.isReused = stream.isReused
    user.sendRequest(this, stream)
    if (stream.flush()) user.requestTaken()
    else user.requestSlow()
  }

  // ---- the request

  content(buf: Buffer, from: number, to: number): void {
    this.stream!.content(buf, from, to)
  }

  endContent(trailers: Fields | null): void {
    this.stream!.end(trailers)
  }

  /** False = slow; `requestDrained` of the user follows. */
  flush(): boolean {
    return this.stream!.flush()
  }

  onDrained(): void {
    this.user!.requestDrained()
  }

  // ---- the reply

  onInterim(reply: ReplyMessage): void {
    this.user!.onInterim(this, reply)
  }

  onReply(reply: ReplyMessage): ReplyVerdict {
    this.stopTimer()
    this.phase = Phase.content
    // An attempt that is over may serve somebody else by now.
    if (this.user!.onReply(this, reply) !== 'discard') return 'pass'
    this.stream = null
    this.rest()
    return 'discard'
  }

  onContent(buf: Buffer, from: number, to: number): void {
    this.user!.onReplyContent(buf, from, to)
  }

  get contentTarget(): Transport | null {
    return this.user!.contentTarget
  }

  onMoved(count: number): void {
    this.user!.onMoved(count)
    this.onPause()
  }

  /** Sends what came of the content, and waits for more of it as long as the caller keeps up. */
  onPause(): void {
    this.armIdle()
    if (!this.user!.flushReply()) this.pauseReading()
  }

  onEnd(trailers: Fields | null): void {
    const user = this.user!
    if (!user.endReply(trailers)) return
    this.finish()
    user.replyDone()
  }

  onSwitch(reply: ReplyMessage, buf: Buffer, from: number, to: number): void {
    this.stopTimer()
    this.user!.onSwitch(this, reply, buf, from, to)
  }

  onBroken(outcome: Outcome, reason: string): void {
    this.noteStream()
    this.stream = null
    this.user!.attemptFailed(this, outcome, reason)
  }

  onTimer(timer: Timer): void {
    this.deps.clock.refresh()
    const isPerTry = timer.kind === TimerKind.perTry
    if (!isPerTry) this.deps.tallies.replyBodyTimeouts++
    this.noteStream()
    this.user!.attemptFailed(this, Outcome.timeout, isPerTry ? 'time per try' : 'time between body bytes')
  }

  private noteStream(): void {
    const { stream } = this
    if (stream === null) return
    this.mayBeRead = stream.mayBeRead
    this.hasReply = stream.hasReply
    this.isResetAlone = stream.isResetAlone
  }

  pauseReading(): void {
    this.stream?.pause()
    this.stopTimer()
  }

  resumeReading(): void {
    if (this.stream === null) return
    if (this.phase === Phase.content) this.armIdle()
    this.stream.resume()
  }

  private stopTimer(): void {
    if (this.usesTimer) this.deps.wheel.disarm(this.timer)
  }

  private armIdle(): void {
    const { contentIdleMs } = this.user!
    if (contentIdleMs === 0) return
    const { clock, wheel } = this.deps
    this.usesTimer = true
    this.timer.kind = TimerKind.contentIdle
    wheel.arm(this.timer, clock.now + contentIdleMs)
  }

  // ---- leaving this process

  /** Its stream, while the endpoint works on the request or answers it. */
  get carried(): UpstreamStream | null {
    return this.phase === Phase.head || this.phase === Phase.content ? this.stream : null
  }

  get caller(): DownstreamStream | null {
    return this.user === null ? null : this.user.stream
  }

  stateAt(now: number): AttemptState {
    const { holdsRetry, isJudged, isReused, startedAt, timer } = this
    const isPerTry = this.usesTimer && timer.isArmed && timer.kind === TimerKind.perTry
    return {
      agoMs: now - startedAt,
      hasWon: this.phase === Phase.content,
      isReused,
      isJudged,
      holdsRetry,
      leftMs: isPerTry ? Math.max(0, timer.deadline - now) : -1,
    }
  }

  /** Instead of `begin`: goes on with an attempt of another process, past the bounds of its cluster. */
  restore(user: AttemptUser, upstream: Upstream, state: EndpointState, from: AttemptState): void {
    const { clock, wheel } = this.deps
    const { cluster } = upstream
    this.user = user
    this.upstream = upstream
    this.state = state
    this.startedAt = clock.now - from.agoMs
    this.holdsRetry = from.holdsRetry
    this.mayBeRead = false
    this.hasReply = false
    this.isReused = from.isReused
    this.isResetAlone = false
    this.isJudged = from.isJudged
    this.phase = from.hasWon ? Phase.content : Phase.head
    if (!from.isJudged) cluster.beginAttempt(state, this.startedAt)
    if (from.holdsRetry) cluster.numbers.activeRetries++
    if (from.leftMs < 0) return
    this.usesTimer = true
    this.timer.kind = TimerKind.perTry
    wheel.arm(this.timer, clock.now + from.leftMs)
  }

  /** The stream on which it goes on. */
  carry(stream: UpstreamStream): void {
    this.stream = stream
    if (this.phase === Phase.content) this.armIdle()
  }

  /** It goes on in another process. */
  leave(): void {
    this.judge(Outcome.cancelled, 0, -1)
    this.stream = null
    this.rest()
  }

  // ---- the end

  /** Of a 503, by the word of an agent in front of the application. */
  readDelivery(reply: ReplyMessage): Delivery {
    if (!isAgentInbound(this.state!.endpoint)) return Delivery.delivered
    const code = reply.header(headers.error)
    return code === undefined ? Delivery.delivered : deliveryOf(code)
  }

  /** Tells the balancer, once. */
  judge(outcome: Outcome, status: number, latencyMs: number): void {
    if (this.isJudged) return
    this.isJudged = true
    const { cluster } = this.upstream!
    cluster.endAttempt(this.state!, outcome, status, latencyMs, this.deps.clock.now)
    if (this.holdsRetry) {
      this.holdsRetry = false
      cluster.endRetry()
    }
  }

  /** The reply was read to its end: the connection goes back, and the attempt to rest. */
  private finish(): void {
    const stream = this.stream!
    this.stream = null
    this.rest()
    stream.release()
  }

  /** Ends it in whatever state it is: the connection is closed, for the endpoint may still be working on it. */
  abandon(outcome: Outcome): void {
    this.judge(outcome, 0, -1)
    const { stream } = this
    const wasWaiting = this.phase === Phase.waiting
    this.stream = null
    if (wasWaiting) this.pool!.forget(this)
    this.rest()
    stream?.abandon()
  }

  /** Leaves its stream to a tunnel. */
  giveStream(): UpstreamStream {
    const stream = this.stream!
    this.stream = null
    this.rest()
    return stream
  }

  /** Leaves the store for good. */
  retire(): void {
    this.deps.wheel.drop(this.timer)
  }

  private rest(): void {
    this.stopTimer()
    this.usesTimer = false
    this.phase = Phase.none
    this.user = null
    this.upstream = null
    this.state = null
    this.store.give(this)
  }
}

/** Attempts for reuse. */
export function attemptStore(deps: AttemptDeps): Spares<Attempt> {
  return new Spares(
    (home) => new Attempt(deps, home),
    (attempt) => attempt.retire(),
  )
}
