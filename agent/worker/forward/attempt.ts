import { isAgentInbound } from '../../../contracts/endpoint.ts'
import type { LimitsSpec } from '../../../contracts/snapshot.ts'
import { takeFailed } from '../../../native/kernel-pipe.ts'
import { Outcome } from '../balance/types.ts'
import type { EndpointState } from '../balance/types.ts'
import { overflow, waiting } from '../connect/endpoint-pool.ts'
import type { ConnectionWaiter } from '../connect/endpoint-pool.ts'
import type { PooledConnection } from '../connect/pooled-connection.ts'
import type { Upstream } from '../connect/upstream.ts'
import { BodyReader } from '../../../http1/body-reader.ts'
import { chunkEnd, lastChunk, maxChunkHeadBytes, writeChunkHead } from '../../../http1/chunks.ts'
import { Field } from '../../../http1/field-names.ts'
import { Head } from '../../../http1/head.ts'
import { readReply } from '../../../http1/read-reply.ts'
import { BodyKind } from '../../../http1/types.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner } from '../transport/timer-wheel.ts'
import { Fate } from '../transport/transport.ts'
import type { TransportOwner } from '../transport/transport.ts'
import { Delivery, deliveryOf } from './delivery.ts'
import { BulkReply } from './bulk-reply.ts'
import type { Exchange } from './exchange.ts'
import { tallyFault } from './limit-tallies.ts'
import { isIdempotent } from './retry-decision.ts'
import type { Road } from './road.ts'

const Phase = { none: 0, waiting: 1, head: 2, body: 3 } as const
type Phase = (typeof Phase)[keyof typeof Phase]

/** Uses of an attempt's timer. */
const TimerKind = { perTry: 0, bodyIdle: 1, fate: 2 } as const

/** A peer that closed before it knew of a request refuses it within a round trip: so often, and after so many ms, the kernel is asked whether it has. */
const maxFateLooks = 25
const fateLookMs = 10

/**
 * One try of a request at one endpoint: gets a connection, sends head and body, reads the reply and hands it to the exchange. Reused for one try after another;
 * after `finish` or `abandon` it is back in the store and must not be touched.
 */
export class Attempt implements TransportOwner, TimerOwner, ConnectionWaiter {
  readonly head: Head
  readonly body: BodyReader = new BodyReader()
  exchange: Exchange | null = null
  state: EndpointState | null = null
  upstream: Upstream | null = null
  connection: PooledConnection | null = null
  startedAt = 0
  /** Counts against the cluster's retries until it ends. */
  holdsRetry = false
  /** Bytes of the request that were handed to the connection. */
  sentBytes = 0
  replyBytes = 0
  /** Whether the endpoint may have read any of them, as far as it has ended. */
  mayBeRead = false
  /** Whether the balancer has heard how it ended. */
  isJudged = false
  /** Close-delimited reply that goes out in chunks (R27). */
  rechunks = false
  private readonly road: Road
  private readonly timer: Timer
  private readonly bulk: BulkReply
  private phase: Phase = Phase.none
  private interims = 0
  private fateLooks = 0
  private wasReused = false
  /** Start of a reply head that is not whole. */
  private held: Buffer | null = null

  constructor(road: Road) {
    this.road = road
    this.head = new Head(road.strings, road.state.limits.maxFields)
    this.timer = new Timer(this, TimerKind.perTry)
    this.bulk = new BulkReply(road.bulk)
  }

  get callerKey(): string {
    return this.exchange === null ? '' : this.exchange.callerKey
  }

  get isStreaming(): boolean {
    return this.phase >= Phase.head
  }

  get isReused(): boolean {
    return this.wasReused
  }

  /** False when the bounds of the cluster are reached: the attempt is then over and was not counted. */
  begin(
    exchange: Exchange,
    upstream: Upstream,
    state: EndpointState,
    holdsRetry: boolean,
    needsFresh: boolean,
  ): boolean {
    const { road } = this
    this.exchange = exchange
    this.upstream = upstream
    this.state = state
    this.startedAt = road.clock.now
    this.holdsRetry = holdsRetry
    this.sentBytes = 0
    this.replyBytes = 0
    this.mayBeRead = false
    this.isJudged = false
    this.rechunks = false
    this.interims = 0
    this.fateLooks = 0
    this.wasReused = false
    upstream.cluster.beginAttempt(state, this.startedAt)
    const perTry = exchange.perTryTimeoutMs
    if (perTry > 0) {
      this.timer.kind = TimerKind.perTry
      road.wheel.arm(this.timer, this.startedAt + perTry)
    }
    const got = upstream.pools.of(state).acquire(this, needsFresh)
    if (got === waiting) {
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
    this.exchange!.attemptFailed(this, outcome, reason)
  }

  onEndpointLeft(): void {
    this.exchange!.tries.endpointLeft(this)
  }

  private use(connection: PooledConnection): void {
    const exchange = this.exchange!
    const { transport } = connection
    this.connection = connection
    this.wasReused = connection.requests > 0
    connection.requests++
    transport.owner = this
    this.phase = Phase.head
    this.mayBeRead = true
    exchange.writeRequest(this)
    if (!this.send()) exchange.connection.pauseReading()
    else if (exchange.connection.isHeldBack) exchange.requestDrained()
  }

  /** Sends what the exchange put into the output; false = slow, `requestDrained` of the exchange follows. */
  send(): boolean {
    this.sentBytes += this.road.output.length
    return this.connection!.transport.write(this.road.output)
  }

  get isRequestSent(): boolean {
    return this.exchange!.request.isDone && this.connection!.transport.pendingBytes === 0
  }

  onBytes(bytes: Buffer, length: number): void {
    this.road.clock.refresh()
    this.replyBytes += length
    let buf = bytes
    let end = length
    if (this.held !== null) {
      buf = Buffer.concat([this.held, bytes.subarray(0, length)])
      end = buf.length
      this.head.moveTo(buf, 0)
      this.held = null
    }
    if (this.phase === Phase.head) {
      const at = this.readHead(buf, end)
      if (at >= 0) this.readBody(buf, at, end)
    } else {
      this.readBody(buf, 0, end)
    }
    if (this.phase === Phase.body) {
      this.bulk.begins(length, this.body, this.connection!.transport, this.exchange!.connection.transport)
    }
  }

  /** More of the body waits at the endpoint's connection, and is moved on without being read. */
  onReadable(): void {
    this.road.clock.refresh()
    const exchange = this.exchange!
    const moved = this.bulk.move(this.body, this.connection!.transport, exchange.connection.transport)
    if (moved === takeFailed) {
      exchange.attemptFailed(this, Outcome.reset, 'ECONNRESET')
    } else if (moved > 0) {
      this.replyBytes += moved
      exchange.reply.bytes += moved
      this.passOn()
    }
  }

  /** Answers where the body begins, or -1 when there is nothing more to do with these bytes. */
  private readHead(buf: Buffer, end: number): number {
    const { head, road } = this
    const exchange = this.exchange!
    const { request } = exchange
    const limits: LimitsSpec = road.state.limits
    let at = 0
    for (;;) {
      if (at === end) return -1
      const taken = readReply(head, buf, at, end, limits, request.head.methodId, request.asksUpgrade)
      if (taken < 0) {
        tallyFault(road.tallies, taken)
        exchange.attemptFailed(this, Outcome.protocol, 'malformed reply')
        return -1
      }
      if (taken === 0) {
        this.held = Buffer.from(buf.subarray(at, end))
        head.moveTo(this.held, 0)
        return -1
      }
      at += taken
      if (head.status >= 200 || head.status === 101) break
      if (++this.interims > limits.maxInterimReplies) {
        road.tallies.interimLimits++
        exchange.attemptFailed(this, Outcome.protocol, 'too many interim replies')
        return -1
      }
      exchange.onInterim(this)
    }
    road.wheel.disarm(this.timer)
    if (head.status === 101) {
      this.phase = Phase.none
      exchange.onSwitch(this, buf, at, end)
      return -1
    }
    this.phase = Phase.body
    return exchange.onReplyHead(this, buf, at, end) ? at : -1
  }

  private readBody(buf: Buffer, start: number, end: number): void {
    const { body, road } = this
    const { output } = road
    const exchange = this.exchange!
    let at = start
    while (at < end && !body.isDone) {
      const taken = body.feed(buf, at, end)
      if (taken < 0) {
        tallyFault(road.tallies, taken)
        output.clear()
        exchange.attemptFailed(this, Outcome.protocol, 'malformed reply body')
        return
      }
      at += taken
      for (let run = 0; run < body.runCount; run++) {
        const from = body.runs[run * 2]!
        const to = body.runs[run * 2 + 1]!
        if (this.rechunks) this.writeChunk(buf, from, to)
        else output.copy(buf, from, to)
      }
    }
    if (body.isDone) {
      if (body.tail !== null) output.append(body.tail)
      this.replyDone(at === end)
      return
    }
    this.passOn()
  }

  /** Sends what came of the body, and waits for more of it as long as the caller keeps up. */
  private passOn(): void {
    const { clock, state, wheel } = this.road
    this.timer.kind = TimerKind.bodyIdle
    wheel.arm(this.timer, clock.now + state.limits.bodyIdleTimeoutMs)
    if (!this.exchange!.sendReply()) this.pauseReading()
  }

  private writeChunk(buf: Buffer, from: number, to: number): void {
    const { output } = this.road
    output.room(maxChunkHeadBytes)
    output.length = writeChunkHead(output.bytes, output.length, to - from)
    output.copy(buf, from, to)
    output.append(chunkEnd)
  }

  /** The last bytes of the reply are in the output. */
  private replyDone(isExact: boolean): void {
    const exchange = this.exchange!
    const { head } = this
    const isReusable =
      isExact &&
      head.keepsAlive &&
      this.body.kind !== BodyKind.untilClose &&
      this.isRequestSent &&
      !exchange.reply.isTruncated
    exchange.sendReply()
    this.finish(isReusable)
    exchange.replyDone()
  }

  onEnd(): void {
    this.road.clock.refresh()
    if (this.phase === Phase.body && this.body.endOfInput()) {
      if (this.rechunks) this.road.output.append(lastChunk)
      this.replyDone(false)
      return
    }
    this.closedByEndpoint()
  }

  onClosed(reason: string): void {
    this.road.clock.refresh()
    this.mayBeRead = this.connection!.transport.fateOf(this.sentBytes) !== Fate.unread
    this.exchange!.attemptFailed(this, Outcome.reset, reason)
  }

  /** Without a whole reply. What may not be repeated once it was read waits for the kernel's word on that. */
  private closedByEndpoint(): void {
    const exchange = this.exchange!
    const fate = this.replyBytes === 0 ? this.connection!.transport.fateOf(this.sentBytes) : Fate.mayBeRead
    if (fate === Fate.undecided && !isIdempotent(exchange.request.head.methodId) && this.fateLooks < maxFateLooks) {
      this.fateLooks++
      this.timer.kind = TimerKind.fate
      this.road.wheel.arm(this.timer, this.road.clock.now + fateLookMs)
      return
    }
    this.mayBeRead = fate !== Fate.unread
    exchange.attemptFailed(this, Outcome.reset, 'closed by the endpoint')
  }

  onDrained(): void {
    this.road.clock.refresh()
    this.exchange!.requestDrained()
  }

  onTimer(timer: Timer): void {
    this.road.clock.refresh()
    if (timer.kind === TimerKind.fate) {
      this.closedByEndpoint()
      return
    }
    const isPerTry = timer.kind === TimerKind.perTry
    if (!isPerTry) this.road.tallies.replyBodyTimeouts++
    this.exchange!.attemptFailed(this, Outcome.timeout, isPerTry ? 'time per try' : 'time between body bytes')
  }

  pauseReading(): void {
    this.connection?.transport.pauseReading()
    this.road.wheel.disarm(this.timer)
  }

  resumeReading(): void {
    this.bulk.release()
    if (this.connection === null) return
    const { clock, state, wheel } = this.road
    if (this.phase === Phase.body) wheel.arm(this.timer, clock.now + state.limits.bodyIdleTimeoutMs)
    this.connection.transport.resumeReading()
  }

  /** Of a 503, by the word of an agent in front of the application. */
  readDelivery(): Delivery {
    if (!isAgentInbound(this.state!.endpoint)) return Delivery.delivered
    const index = this.head.find(Field.xMeshError)
    if (index < 0) return Delivery.delivered
    const delivery = deliveryOf(this.head.valueOf(index))
    if (delivery !== Delivery.delivered) this.mayBeRead = false
    return delivery
  }

  /** Tells the balancer, once. */
  judge(outcome: Outcome, status: number, latencyMs: number): void {
    if (this.isJudged) return
    this.isJudged = true
    const { cluster } = this.upstream!
    cluster.endAttempt(this.state!, outcome, status, latencyMs, this.road.clock.now)
    if (this.holdsRetry) {
      this.holdsRetry = false
      cluster.endRetry()
    }
  }

  /** The reply was read to its end: gives the connection back and goes to rest. */
  finish(isReusable: boolean): void {
    const connection = this.connection
    this.connection = null
    this.rest()
    if (connection !== null) connection.pool.release(connection, isReusable)
  }

  /** Another attempt follows this reply, which is thrown away; what of its body lies behind the head decides over the connection. */
  discardReply(buf: Buffer, start: number, end: number): void {
    const { body, head } = this
    body.begin(head.body, head.contentLength, false, false, this.road.state.limits)
    let at = start
    while (at < end && !body.isDone) {
      const taken = body.feed(buf, at, end)
      if (taken <= 0) break
      at += taken
    }
    if (body.isDone && at === end && head.keepsAlive && this.isRequestSent) this.finish(true)
    else this.abandon(Outcome.cancelled)
  }

  /** Ends it in whatever state it is: the connection is closed, for the endpoint may still be working on it. */
  abandon(outcome: Outcome): void {
    this.judge(outcome, 0, -1)
    const { connection, upstream, state } = this
    const wasWaiting = this.phase === Phase.waiting
    this.connection = null
    if (wasWaiting) upstream!.pools.of(state!).forget(this)
    this.rest()
    if (connection !== null) connection.pool.discard(connection)
  }

  /** Leaves the connection to a tunnel, which owns its slot from now on. */
  giveConnection(): PooledConnection {
    const connection = this.connection!
    this.connection = null
    this.rest()
    return connection
  }

  /** Leaves the store for good. */
  retire(): void {
    this.road.wheel.drop(this.timer)
  }

  private rest(): void {
    const { road } = this
    road.wheel.disarm(this.timer)
    this.phase = Phase.none
    this.held = null
    this.bulk.release()
    this.head.reset()
    this.exchange = null
    this.upstream = null
    this.state = null
    road.attempts.give(this)
  }
}
