import type { SourceAppSpec } from '../../../contracts/snapshot.ts'
import { Outcome } from '../balance/types.ts'
import type { EndpointState, Refusal } from '../balance/types.ts'
import { Field } from '../../../http1/field-names.ts'
import { httpFault } from '../../../http1/fault.ts'
import { BodyKind, Method } from '../../../http1/types.ts'
import type { Answer, FilterContext } from '../route/types.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner } from '../transport/timer-wheel.ts'
import type { Attempt } from './attempt.ts'
import type { HttpConnection } from './http-connection.ts'
import { Delivery } from './delivery.ts'
import { IncomingRequest } from './incoming-request.ts'
import { tallyFault } from './limit-tallies.ts'
import { loggedRequest } from './logged-request.ts'
import { sendMirrors } from './mirror.ts'
import { OutgoingReply } from './outgoing-reply.ts'
import {
  emptyOk,
  errorAnswer,
  fallbackRefused,
  loopFound,
  refusalAnswer,
  replyTooSlow,
  requestTooSlow,
  tooManyParked,
  unknownService,
} from './own-answers.ts'
import type { Road } from './road.ts'
import { Tries } from './tries.ts'
import { startTunnel } from './tunnel.ts'
import { Way } from './way.ts'

/** The same agent named this often in Via: outbound and inbound of one host are two, and a call may pass through two applications of a host (loop guard). */
const maxPasses = 8

/**
 * One request and its response: from a whole head to the last byte of the answer. Follows the way to a destination, runs the attempts there, passes the reply on,
 * and answers for what fails. Reused for one exchange after another; an idle connection holds none.
 */
export class Exchange implements TimerOwner {
  connection!: HttpConnection
  readonly request: IncomingRequest
  readonly way: Way = new Way()
  readonly tries: Tries
  readonly reply: OutgoingReply
  startedAt = 0
  /** Waits for control to answer about a name; set by `ParkedNames`. */
  isParked = false
  private readonly road: Road
  private readonly wholeTimer: Timer
  /** For what a filter asks for. */
  private readonly delayTimer: Timer
  private readonly context: FilterContext & { now: number }

  constructor(road: Road) {
    this.road = road
    this.request = new IncomingRequest(road.strings, road.state.limits.maxFields)
    this.tries = new Tries(road, this)
    this.wholeTimer = new Timer(this, 0)
    this.delayTimer = new Timer(this, 0)
    this.context = { view: this.request, now: 0, random: road.random }
    this.reply = new OutgoingReply(road, this.request, this.way, this.context)
  }

  /** Taken from the store for a request of `connection`. */
  attach(connection: HttpConnection): void {
    this.connection = connection
    this.request.caller = connection
  }

  // ---- what metrics and attempts read

  get source(): SourceAppSpec | undefined {
    return this.connection.source
  }
  get callerKey(): string {
    return this.connection.callerKey
  }
  get requestBytes(): number {
    return this.request.bytes
  }
  get status(): number {
    return this.reply.status
  }
  get flag(): string {
    return this.reply.flag
  }
  get replyBytes(): number {
    return this.reply.bytes
  }
  get endpoint(): EndpointState | null {
    return this.tries.endpoint
  }
  /** Service key of the destination, undefined when the request never got that far. */
  get service(): string | undefined {
    return this.tries.visit.upstream?.cluster.service ?? this.way.destination?.spec.service
  }
  get perTryTimeoutMs(): number {
    return this.way.route?.retry?.spec.perTryTimeoutMs ?? 0
  }

  // ---- the way

  /** The head is whole, and the part of the body that came with it is in the replay. */
  start(): void {
    const { request, road } = this
    const { head } = request
    const now = road.clock.now
    this.startedAt = now
    road.wheel.arm(this.wholeTimer, now + road.state.limits.requestTimeoutMs)
    request.keepHead()
    if (head.find(Field.via) >= 0 && head.countVia(road.state.pseudonym) >= maxPasses) {
      this.answer(loopFound(maxPasses))
    } else if (head.maxForwards === 0 && head.methodId === Method.options) {
      this.answer(emptyOk)
    } else {
      this.goOn()
    }
  }

  /** Along the way until the request is at its destination, waits, or is answered. */
  private goOn(): void {
    const { context, request, road, way } = this
    context.now = road.clock.now
    const found = way.goOn(road.state, request, this.connection.context.virtualHost, context)
    this.keepRouteTimeout()
    switch (found.kind) {
      case 'upstream':
        if (way.route!.mirrors.length > 0) sendMirrors(road, request, way.route!)
        this.tries.start(found)
        break
      case 'ask':
        if (!road.parked.park(found.name, this)) this.answer(tooManyParked())
        break
      case 'unknown':
        if (!this.tryFallback()) this.answer(way.unknownAnswer())
        break
      case 'delay':
        this.reply.flag = 'DI'
        road.wheel.arm(this.delayTimer, road.clock.now + found.ms)
        break
      default:
        this.answer(found)
    }
  }

  private keepRouteTimeout(): void {
    const timeoutMs = this.way.route?.spec.timeoutMs ?? 0
    if (timeoutMs === 0) return
    const deadline = this.startedAt + timeoutMs
    if (deadline < this.wholeTimer.deadline) this.road.wheel.arm(this.wholeTimer, deadline)
  }

  /** Control has answered, or did not in time. */
  unpark(isTimeout: boolean): void {
    this.road.clock.refresh()
    if (!isTimeout) this.goOn()
    else if (!this.tryFallback()) this.answer(unknownService('the named service'))
  }

  /** `x-mesh-fallback`: only when the mesh knows no instance, and only inside the allowed networks. False when the caller named none. */
  private tryFallback(): boolean {
    const { head } = this.request
    const index = head.find(Field.xMeshFallback)
    if (index < 0) return false
    const address = head.valueOf(index)
    const upstream = this.road.state.fallback(address)
    if (upstream === null) {
      this.answer(fallbackRefused(address))
      return true
    }
    this.tries.visit.leave()
    this.road.tallies.fallbacks++
    this.tries.start(upstream)
    return true
  }

  // ---- between the caller's connection and the attempts

  /** Puts head and body so far into the output for an attempt that got its connection. */
  writeRequest(attempt: Attempt): void {
    const { request, road } = this
    const { replay } = request
    road.heads.request(road.output, request, this.way, attempt.state!, road.state.mesh.tracing)
    if (replay.length > 0) road.output.copy(replay.bytes, 0, replay.length)
    if (this.connection.holdsBody) this.connection.continueSoon()
  }

  /** Where the request's body goes on: the attempt that has a connection. */
  get sink(): Attempt | null {
    const { newest } = this.tries.running
    return newest !== null && newest.isStreaming ? newest : null
  }

  /** Whether the request is on its way to an endpoint; else it waits for a name, a delay, a connection or the next try. */
  get isSent(): boolean {
    return this.sink !== null
  }

  get hasReply(): boolean {
    return this.tries.running.winner !== null
  }

  requestDrained(): void {
    this.connection.resumeReading()
  }

  /** An attempt brought no whole reply; it is still ours to end. */
  attemptFailed(attempt: Attempt, outcome: Outcome, reason: string): void {
    if (this.tries.running.winner === attempt) this.replyBroken(attempt, outcome)
    else this.tries.attemptFailed(attempt, outcome, reason)
  }

  /** The destination takes no try, or no other one. */
  refused(refusal: Refusal): void {
    const isNowhere = refusal.code === 'E_BALANCE_NO_ENDPOINT' && this.tries.visit.tried.length === 0
    if (!isNowhere || !this.tryFallback()) this.answer(refusalAnswer(refusal))
  }

  // ---- time

  onTimer(timer: Timer): void {
    this.road.clock.refresh()
    if (timer === this.delayTimer) this.goOn()
    else this.timeOut()
  }

  private timeOut(): void {
    const { running } = this.tries
    this.road.tallies.requestTimeouts++
    if (running.winner !== null) {
      this.replyBroken(running.winner, Outcome.timeout)
      return
    }
    if (!this.request.isDone && this.sink !== null) {
      running.abandonLosing(Outcome.cancelled)
      this.answer(requestTooSlow('the request was not complete in time'))
      return
    }
    running.abandonLosing(Outcome.timeout)
    this.answer(replyTooSlow())
  }

  // ---- the reply

  onInterim(attempt: Attempt): void {
    // R21: interim replies go to HTTP/1.1 callers only, and only while one attempt can still be the answer.
    if (this.request.head.minor === 0 || this.tries.running.isRace) return
    this.reply.passHead(attempt, this.tries.visit.hashCookie)
    this.connection.flush()
  }

  /** False when this reply is not the answer: the attempt is then over. */
  onReplyHead(attempt: Attempt, buf: Buffer, at: number, end: number): boolean {
    const { road } = this
    const { status } = attempt.head
    this.reply.headMs = road.clock.now - this.startedAt
    const delivery = status === 503 ? attempt.readDelivery() : Delivery.delivered
    if (delivery === Delivery.unreachable) {
      road.tallies.undelivered++
      attempt.judge(Outcome.connectFailure, 0, -1)
    } else {
      attempt.judge(status >= 500 ? Outcome.serverError : Outcome.ok, status, road.clock.now - attempt.startedAt)
    }
    if (this.tries.retryReply(attempt, delivery, buf, at, end)) return false
    this.commit(attempt)
    this.reply.pass(attempt, this.mustClose, this.tries.visit.hashCookie)
    return true
  }

  /** Whether the connection cannot be used for another request. A body that is still coming is not waited for (R25). */
  private get mustClose(): boolean {
    return !this.request.head.keepsAlive || !this.request.isDone || this.connection.isDraining
  }

  private commit(attempt: Attempt): void {
    const { route } = this.way
    if (route === null || route.spec.timeoutMs === 0) this.road.wheel.disarm(this.wholeTimer)
    this.tries.commit(attempt)
  }

  /** Writes what is in the output to the caller; false = the caller reads slowly, and `replyDrained` follows. */
  sendReply(): boolean {
    this.reply.bytes += this.road.output.length
    return this.connection.flush()
  }

  replyDrained(): void {
    this.tries.running.winner?.resumeReading()
  }

  /** The last byte of the reply was written, and the attempt is over. */
  replyDone(): void {
    this.tries.running.finish()
    this.finish(this.reply.closes)
  }

  /** The reply broke after its head had been passed on: the caller must see that it is not whole (R26). */
  private replyBroken(attempt: Attempt, outcome: Outcome): void {
    this.reply.breakOff(outcome)
    this.road.output.clear()
    const needsReset = attempt.body.kind === BodyKind.untilClose && !attempt.rechunks
    attempt.abandon(outcome)
    this.tries.running.finish()
    this.road.tallies.truncatedReplies++
    const { connection } = this
    this.close()
    connection.breakOff(needsReset)
  }

  /** 101: from here on bytes pass in both directions, and the exchange is over. */
  onSwitch(attempt: Attempt, buf: Buffer, at: number, end: number): void {
    const { reply, road } = this
    reply.status = 101
    reply.headMs = road.clock.now - this.startedAt
    attempt.judge(Outcome.ok, 101, reply.headMs)
    this.commit(attempt)
    this.tries.running.finish()
    reply.passHead(attempt, this.tries.visit.hashCookie)
    road.output.copy(buf, at, end)
    reply.bytes += road.output.length
    startTunnel(road, this, attempt)
  }

  // ---- answers of our own

  /** The head is broken: nothing of it may be read. */
  refuseHead(fault: number): void {
    const facts = httpFault(fault)
    tallyFault(this.road.tallies, fault)
    this.refuseUnread(errorAnswer(facts.status, facts.code, 'DPE', facts.reason))
  }

  /** The head did not become whole in time. */
  headTimeOut(): void {
    this.refuseUnread(requestTooSlow('the request head was not complete in time'))
  }

  /** An answer without a request: the connection closes. */
  private refuseUnread(answer: Answer): void {
    this.startedAt = this.road.clock.now
    this.request.isRead = false
    this.reply.closes = true
    this.answer(answer)
  }

  bodyTimeOut(): void {
    const { winner } = this.tries.running
    if (winner !== null) this.replyBroken(winner, Outcome.cancelled)
    else this.answer(requestTooSlow('the request body stopped coming'))
  }

  /** The body is broken. */
  refuseBody(fault: number): void {
    const facts = httpFault(fault)
    const { winner } = this.tries.running
    tallyFault(this.road.tallies, fault)
    if (winner !== null) {
      this.replyBroken(winner, Outcome.cancelled)
      return
    }
    this.reply.closes = true
    this.answer(errorAnswer(facts.status, facts.code, 'DPE', facts.reason))
  }

  /** Ends the exchange without the reply of an endpoint. */
  answer(answer: Answer): void {
    const { connection, reply } = this
    this.tries.running.abandonLosing(Outcome.cancelled)
    if (reply.headMs < 0) reply.headMs = this.road.clock.now - this.startedAt
    reply.answer(answer, this.mustClose)
    connection.flush()
    this.finish(reply.closes)
  }

  // ---- the end

  /** The caller is gone. */
  cancel(): void {
    const { running } = this.tries
    this.reply.cancel()
    if (running.winner !== null) {
      running.winner.abandon(Outcome.cancelled)
      running.finish()
    }
    running.abandonLosing(Outcome.cancelled)
    this.close()
  }

  private finish(closes: boolean): void {
    const { connection } = this
    this.close()
    connection.exchangeDone(closes)
  }

  /** Counts it, lets everything go and returns to the store. */
  close(): void {
    const { road } = this
    if (this.way.host === null || !this.way.host.isOwn) {
      road.metrics.count(this)
      if (road.accessLog.isOn && road.accessLog.wants(this.reply)) road.accessLog.write(loggedRequest(road, this))
    }
    this.connection.exchange = null
    this.tries.visit.leave()
    this.discard()
  }

  /** Leaves the admission to a tunnel, which releases it at its end. */
  giveAdmission(): void {
    this.tries.visit.giveAdmission()
  }

  /** Returns to the store; called from outside, the head never became whole: there was no request. */
  discard(): void {
    this.reset()
    this.road.exchanges.give(this)
  }

  private reset(): void {
    const { wheel } = this.road
    wheel.disarm(this.wholeTimer)
    wheel.disarm(this.delayTimer)
    if (this.isParked) this.road.parked.forget(this)
    this.request.reset()
    this.way.reset()
    this.tries.reset()
    this.reply.reset()
  }

  /** Leaves the store for good. */
  retire(): void {
    this.road.wheel.drop(this.wholeTimer)
    this.road.wheel.drop(this.delayTimer)
    this.tries.retire()
  }
}
