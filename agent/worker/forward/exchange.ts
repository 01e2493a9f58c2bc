import { headers } from '../../../contracts/words.ts'
import { Outcome } from '../balance/types.ts'
import type { Refusal } from '../balance/types.ts'
import type { Answer } from '../filters/answer.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner } from '../transport/timer-wheel.ts'
import type { Transport } from '../transport/transport.ts'
import type { Attempt } from './attempt.ts'
import { failureOf } from './failure.ts'
import { ExchangeFacts } from './exchange-facts.ts'
import type { ExchangeDeps } from './exchange-deps.ts'
import { grpcAnswer, brokenTrailers, statusOfAnswer } from './grpc/answer.ts'
import { GrpcCall } from './grpc/call.ts'
import { judgeEnd, judgeHead } from './judgement.ts'
import { ExchangeContext } from './filter-context.ts'
import { FilterWait } from './filter-wait.ts'
import type { WaitOwner } from './filter-wait.ts'
import { OutgoingReply } from './outgoing-reply.ts'
import { OutgoingRequest } from './outgoing-request.ts'
import {
  centerNotReady,
  emptyOk,
  errorAnswer,
  fallbackRefused,
  loopFound,
  notKnownYet,
  refusalAnswer,
  replyTooSlow,
  requestTooSlow,
  tooManyParked,
} from './own-answers.ts'
import { filterEdits } from './reply-edits.ts'
import type {
  DownstreamStream,
  Fields,
  ReplyEdits,
  ReplyMessage,
  ReplyVerdict,
  RequestFault,
  RequestMessage,
  StreamOwner,
  UpstreamStream,
} from './streams.ts'
import { Tries } from './tries.ts'
import type { TriesUser } from './tries.ts'
import { startTunnel } from './tunnel.ts'
import { Routing } from './routing.ts'

/**
 * The same agent named this often in Via: outbound and inbound of one host are two, and a call may pass through two
 * applications of a host (loop guard).
 */
const maxPasses = 8

/**
 * One request and its response: from a whole head to the last byte of the answer. Has itself routed to a destination,
 * runs the attempts there, passes the reply on, and answers for what fails. Reused for one exchange after another; an
 * idle connection holds none.
 */
export class Exchange extends ExchangeFacts implements StreamOwner, TriesUser, TimerOwner, WaitOwner {
  readonly stream: DownstreamStream
  readonly request: RequestMessage
  readonly routing: Routing = new Routing()
  readonly tries: Tries
  readonly outgoing: OutgoingRequest
  readonly reply: OutgoingReply = new OutgoingReply()
  readonly call: GrpcCall = new GrpcCall()
  startedAt = 0
  /** Whether the head became whole, so that its facts may be read. */
  hasRequest = false
  /** Waits for control to answer about a name; set by whoever parks it. */
  isParked = false
  protected readonly deps: ExchangeDeps
  private readonly wholeTimer: Timer
  private readonly wait: FilterWait
  private readonly context: ExchangeContext

  constructor(deps: ExchangeDeps, stream: DownstreamStream) {
    super()
    this.deps = deps
    this.stream = stream
    this.request = stream.request
    this.tries = new Tries(deps, this)
    this.outgoing = new OutgoingRequest(deps, stream, this.routing, this.tries.running, this.call)
    this.wholeTimer = new Timer(this, 0)
    this.wait = new FilterWait(deps, this)
    this.context = new ExchangeContext(stream, this.routing, deps.random)
  }

  // ---- routing

  start(): void {
    const { request } = this
    const { clock, mesh } = this.deps
    this.startedAt = clock.now
    this.hasRequest = true
    if (this.call.begin(request, clock.now)) this.outgoing.countMessages()
    this.armWhole()
    if (request.countVia(mesh.pseudonym) >= maxPasses) {
      this.answer(loopFound(maxPasses))
    } else if (request.endsHere) {
      this.answer(emptyOk)
    } else {
      this.proceed()
    }
  }

  /** Goes on until the request is at its destination, waits, or is answered. */
  private proceed(): void {
    const { context, request, routing } = this
    const { clock, mesh, parked, wheel } = this.deps
    context.now = clock.now
    const found = routing.resolve(mesh, request, this.stream.accepted.listener.virtualHost, context)
    this.keepRouteTimeout()
    switch (found.kind) {
      case 'upstream':
        if (routing.route!.mirrors.length > 0) this.outgoing.startCopies(routing.route!)
        this.tries.start(found)
        break
      case 'ask':
        if (!parked.park(found.name, this, this.stream.share)) this.answer(tooManyParked())
        break
      case 'unknown':
        if (!this.tryFallback()) this.answer(routing.unknownAnswer())
        break
      case 'wait':
        if (found.flag !== '-') this.reply.flag = found.flag
        // the time of the route and of the request runs from behind the wait on
        wheel.disarm(this.wholeTimer)
        this.wait.start(found)
        break
      default:
        this.answer(found)
    }
  }

  /** A call of gRPC has the deadline that its caller set, and no other. */
  private armWhole(): void {
    const { mesh, wheel } = this.deps
    const { deadline, isOn } = this.call
    if (!isOn) wheel.arm(this.wholeTimer, this.startedAt + this.wait.waitedMs + mesh.limits.requestTimeoutMs)
    else if (deadline > 0) wheel.arm(this.wholeTimer, deadline)
  }

  private keepRouteTimeout(): void {
    const timeoutMs = this.routing.route?.spec.timeoutMs ?? 0
    if (timeoutMs === 0) return
    const deadline = this.startedAt + this.wait.waitedMs + timeoutMs
    this.call.boundBy(deadline)
    if (deadline < this.wholeTimer.deadline) this.deps.wheel.arm(this.wholeTimer, deadline)
  }

  /** From a host whose own agent cannot serve it: that host may know better. */
  private get isRelayed(): boolean {
    return this.stream.accepted.listener.kind === 'relay'
  }

  /** Control has answered, or did not in time. */
  unpark(isTimeout: boolean): void {
    this.deps.clock.refresh()
    if (!isTimeout) this.proceed()
    else if (!this.tryFallback())
      this.answer(
        this.isRelayed ? centerNotReady() : notKnownYet(this.request.header(headers.service) ?? this.request.authority),
      )
  }

  /**
   * `x-mesh-fallback`: only when the mesh knows no instance, and only inside the allowed networks. False when the
   * caller named none, or is a peer from the network: those may not choose where this host calls.
   */
  private tryFallback(): boolean {
    if (this.stream.accepted.listener.kind === 'inbound') return false
    const address = this.request.header(headers.fallback)
    if (address === undefined) return false
    const upstream = this.deps.mesh.fallback(address)
    if (upstream === null) {
      this.answer(fallbackRefused(address))
      return true
    }
    this.tries.visit.leave()
    this.deps.tallies.fallbacks++
    this.tries.start(upstream)
    return true
  }

  // ---- the request on its routing to the attempts

  accepts(count: number): boolean {
    return this.outgoing.accepts(count)
  }

  onContent(buf: Buffer, from: number, to: number): void {
    this.outgoing.content(buf, from, to)
  }

  onContentEnd(trailers: Fields | null): void {
    this.outgoing.end(trailers)
  }

  flushContent(): boolean {
    if (this.call.isOn) this.deps.messages.count(this)
    return this.outgoing.flush()
  }

  sendRequest(attempt: Attempt, stream: UpstreamStream): void {
    this.outgoing.send(attempt, stream)
  }

  get hasReply(): boolean {
    return this.tries.running.winner !== null
  }

  requestSlow(): void {
    this.stream.pause()
  }

  requestTaken(): void {
    if (this.stream.isPaused) this.stream.resume()
  }

  requestDrained(): void {
    this.stream.resume()
  }

  /** An attempt brought no whole reply; it is still ours to end. */
  attemptFailed(attempt: Attempt, outcome: Outcome, reason: string): void {
    if (this.tries.running.winner === attempt) this.replyBroken(attempt, outcome, reason)
    else this.tries.attemptFailed(attempt, outcome, reason)
  }

  endpointLeft(attempt: Attempt): void {
    this.tries.endpointLeft(attempt)
  }

  refused(refusal: Refusal): void {
    const isNowhere = refusal.code === 'E_BALANCE_NO_ENDPOINT' && this.tries.visit.tried.length === 0
    if (isNowhere && this.tryFallback()) return
    const isUnheard = isNowhere && this.isRelayed && this.tries.visit.upstream?.cluster.isUnheard === true
    this.answer(isUnheard ? centerNotReady() : refusalAnswer(refusal))
  }

  waited(verdict: Answer | null): void {
    this.armWhole()
    if (verdict === null) {
      this.proceed()
    } else {
      this.routing.countLateAnswer()
      this.answer(verdict)
    }
  }

  onTimer(): void {
    this.deps.clock.refresh()
    this.timeOut()
  }

  private timeOut(): void {
    const { running } = this.tries
    this.deps.tallies.requestTimeouts++
    if (running.winner !== null) {
      this.replyBroken(running.winner, Outcome.timeout, 'time of the request')
      return
    }
    if (!this.call.isOn && !this.outgoing.body.isDone && this.outgoing.sink !== null) {
      running.abandonLosing(Outcome.cancelled)
      this.answer(requestTooSlow('the request was not complete in time'))
      return
    }
    running.abandonLosing(Outcome.timeout)
    this.answer(replyTooSlow())
  }

  // ---- the reply

  onInterim(attempt: Attempt, reply: ReplyMessage): void {
    // Only while one attempt can still be the answer.
    if (this.tries.running.isRace) return
    this.stream.interim(reply, this.changesOf(attempt, reply))
  }

  onReply(attempt: Attempt, reply: ReplyMessage): ReplyVerdict | 'over' {
    const { status } = reply
    this.reply.headMs = this.deps.clock.now - this.startedAt
    const delivery = judgeHead(this.deps, attempt, reply, this.call)
    if (this.tries.retryReply(attempt, reply, delivery)) return 'discard'
    this.commit(attempt)
    this.reply.status = status
    if (this.tries.isExhausted) this.reply.flag = 'URX'
    if (this.stream.begin(reply, this.changesOf(attempt, reply))) return 'pass'
    this.replyBroken(attempt, Outcome.protocol, 'a reply that the protocol of the caller cannot say')
    return 'over'
  }

  private changesOf(attempt: Attempt, { status }: ReplyMessage): ReplyEdits {
    const { context, routing } = this
    const { clock, replyChanges } = this.deps
    context.now = clock.now
    return replyChanges.forReply(routing, attempt.state!, context, status, this.tries.visit.hashCookie)
  }

  private commit(attempt: Attempt): void {
    const { route } = this.routing
    const isBounded = this.call.deadline > 0 || (route !== null && route.spec.timeoutMs > 0)
    if (!isBounded) this.deps.wheel.disarm(this.wholeTimer)
    this.tries.commit(attempt)
  }

  onReplyContent(buf: Buffer, from: number, to: number): void {
    this.reply.bytes += to - from
    if (this.call.isOn) this.call.received.take(buf, from, to)
    this.stream.content(buf, from, to)
  }

  get contentTarget(): Transport | null {
    return this.stream.contentTarget
  }

  onMoved(count: number): void {
    this.reply.bytes += count
  }

  flushReply(): boolean {
    if (this.call.isOn) this.deps.messages.count(this)
    return this.stream.flush()
  }

  onDrained(): void {
    this.tries.running.winner?.resumeReading()
  }

  endReply(trailers: Fields | null): void {
    if (this.call.isOn) judgeEnd(this.tries.running.winner!, trailers, this.call)
    this.stream.end(trailers)
    this.stream.flush()
  }

  replyDone(): void {
    this.tries.running.finish()
    this.finish()
  }

  /**
   * The reply broke: the caller must see that it is not whole (R26), or gets another one if nothing of it was passed
   * on.
   */
  private replyBroken(attempt: Attempt, outcome: Outcome, reason: string): void {
    const isUntold = this.stream.dropUnflushed()
    attempt.abandon(outcome)
    this.tries.running.finish()
    if (isUntold) {
      const { status, code, flag } = failureOf(outcome, reason)
      this.reply.reset()
      this.answer(errorAnswer(status, code, flag, reason))
      return
    }
    this.reply.breakOff(outcome)
    this.deps.tallies.truncatedReplies++
    if (this.call.isOn && this.request.protocol === 'HTTP/2') {
      const trailers = brokenTrailers(outcome, reason)
      this.call.readTrailers(trailers)
      this.stream.end(trailers)
      this.stream.flush()
      this.finish()
      return
    }
    this.close()
    this.stream.breakOff()
  }

  /** 101: from here on bytes pass in both directions, and the exchange is over. */
  onSwitch(attempt: Attempt, reply: ReplyMessage, buf: Buffer, from: number, to: number): void {
    const { stream, tries } = this
    this.reply.status = 101
    this.reply.headMs = this.deps.clock.now - this.startedAt
    attempt.judge(Outcome.ok, 101, this.reply.headMs)
    this.commit(attempt)
    tries.running.finish()
    stream.begin(reply, this.changesOf(attempt, reply))
    if (to > from) stream.content(buf, from, to)
    const isTaken = stream.flush()
    const upstream = attempt.upstream!
    const state = attempt.state!
    const given = attempt.giveStream().giveTransport()
    tries.visit.giveAdmission()
    const { accepted } = stream
    this.close()
    startTunnel(this.deps, accepted, upstream, state, stream.giveTransport(), given, isTaken)
  }

  // ---- answers of our own

  refuseHead(fault: RequestFault): void {
    this.startedAt = this.deps.clock.now
    this.answer(errorAnswer(fault.status, fault.code, 'DPE', fault.reason))
  }

  headTimeOut(): void {
    this.startedAt = this.deps.clock.now
    this.answer(requestTooSlow('the request head was not complete in time'))
  }

  contentTimeOut(): void {
    const { winner } = this.tries.running
    if (winner !== null) this.replyBroken(winner, Outcome.cancelled, 'the request stopped coming')
    else this.answer(requestTooSlow('the request body stopped coming'))
  }

  refuseContent(fault: RequestFault): void {
    const { winner } = this.tries.running
    if (winner !== null) {
      this.replyBroken(winner, Outcome.cancelled, 'the request is broken')
      return
    }
    // Content that came with its head: nothing was started.
    if (!this.hasRequest) this.startedAt = this.deps.clock.now
    this.hasRequest = true
    this.answer(errorAnswer(fault.status, fault.code, 'DPE', fault.reason))
  }

  /** Ends the exchange without the reply of an endpoint. */
  answer(said: Answer): void {
    const { call, context, reply, stream } = this
    const answer = call.isOn ? grpcAnswer(said) : said
    const { clock } = this.deps
    const { route } = this.routing
    this.tries.running.abandonLosing(Outcome.cancelled)
    if (reply.headMs < 0) reply.headMs = clock.now - this.startedAt
    context.now = clock.now
    const hasFilters = route !== null && route.replyFilters.length > 0
    if (call.isOn) call.status = statusOfAnswer(answer)
    reply.answer(answer)
    stream.answer(answer, hasFilters ? filterEdits(route, context, answer.status) : null)
    this.finish()
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

  private finish(): void {
    this.close()
    this.stream.done()
  }

  /** Counts it and lets everything go. The stream follows. */
  private close(): void {
    const { messages, metrics, reports } = this.deps
    if (this.routing.host === null || !this.routing.host.isOwn) {
      metrics.count(this)
      if (this.call.isOn) messages.count(this)
      if (reports.isOn) reports.finished(this)
    }
    this.tries.visit.leave()
    this.discard()
  }

  /** Lets everything go, for the next request. */
  discard(): void {
    const { parked, wheel } = this.deps
    wheel.disarm(this.wholeTimer)
    if (this.isParked) parked.forget(this)
    this.hasRequest = false
    this.wait.reset()
    this.outgoing.reset()
    this.routing.reset()
    this.tries.reset()
    this.reply.reset()
    this.call.reset()
  }

  /** Leaves the store for good, with its stream. */
  retire(): void {
    this.deps.wheel.drop(this.wholeTimer)
    this.wait.retire()
    this.tries.retire()
  }
}
