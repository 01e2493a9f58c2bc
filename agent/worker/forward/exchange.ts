import { headers, maxViaPasses } from '../../../contracts/words.ts'
import { Turn } from '../callers/fair-turns.ts'
import { Outcome } from '../balance/types.ts'
import type { Refusal } from '../balance/types.ts'
import { headOf } from '../filters/answer.ts'
import type { Answer } from '../filters/answer.ts'
import type { Attempt } from './attempt.ts'
import { ExchangeReply } from './exchange-reply.ts'
import type { ExchangeDeps } from './exchange-deps.ts'
import { statusOfAnswer } from './grpc/answer.ts'
import { GrpcCall } from './grpc/call.ts'
import type { WebCall } from './grpc/web-call.ts'
import type { ContentLimit } from './content-limit.ts'
import { ExchangeCrossing } from './exchange-crossing.ts'
import { edgeFields } from './edge-fields.ts'
import { listenerHost } from './listener-host.ts'
import { CallerTurn } from './caller-turn.ts'
import { ExchangeContext } from './filter-context.ts'
import { FilterWait } from './filter-wait.ts'
import type { WaitOwner } from './filter-wait.ts'
import { OutgoingReply } from './outgoing-reply.ts'
import { OutgoingRequest } from './outgoing-request.ts'
import * as own from './own-answers.ts'
import { filterEdits } from './reply-edits.ts'
import type {
  Crossing,
  DownstreamStream,
  Fields,
  RequestFault,
  RequestMessage,
  StreamOwner,
  UpstreamStream,
} from './streams.ts'
import { Tries } from './tries.ts'
import type { TriesUser } from './tries.ts'
import { Routing } from './routing.ts'

/**
 * One request and its response: from a whole head to the last byte of the answer. Has itself routed to a destination,
 * runs the attempts there, passes the reply on, and answers for what fails. Reused for one exchange after another; an
 * idle connection holds none.
 */
export class Exchange extends ExchangeReply implements StreamOwner, TriesUser, WaitOwner {
  readonly stream: DownstreamStream
  readonly request: RequestMessage
  readonly routing: Routing = new Routing()
  readonly tries: Tries
  readonly outgoing: OutgoingRequest
  readonly reply: OutgoingReply = new OutgoingReply()
  readonly call: GrpcCall = new GrpcCall()
  protected readonly deps: ExchangeDeps
  readonly wait: FilterWait
  protected readonly turn: CallerTurn
  readonly context: ExchangeContext

  constructor(deps: ExchangeDeps, stream: DownstreamStream) {
    super()
    this.deps = deps
    this.stream = stream
    this.request = stream.request
    this.tries = new Tries(deps, this)
    this.outgoing = new OutgoingRequest(deps, stream, this.routing, this.tries.running, this.call)
    this.wait = new FilterWait(deps, this)
    this.turn = new CallerTurn(deps, this)
    this.context = new ExchangeContext(stream, this.routing, this.reply, this.outgoing.body, deps)
  }

  // ---- routing

  start(): void {
    const { request } = this
    const { clock, mesh } = this.deps
    this.startedAt = clock.now
    this.hasRequest = true
    if (this.call.begin(request, clock.now) && this.call.web === null) this.outgoing.countMessages()
    const { edge } = this.stream.accepted.listener
    if (edge !== undefined) this.routing.editRequest(edgeFields(request, edge))
    this.armWhole()
    if (request.countVia(mesh.pseudonym) >= maxViaPasses) {
      this.answer(own.loopFound(maxViaPasses))
    } else if (request.endsHere) {
      this.answer(own.emptyOk)
    } else {
      const turn = this.turn.begin()
      if (turn === Turn.now) this.proceed()
      else if (turn === Turn.refused) this.answer(own.overloaded())
    }
  }

  /** Goes on until the request is at its destination, waits, or is answered. */
  proceed(): void {
    const { context, request, routing } = this
    const { clock, mesh, parked, wheel } = this.deps
    context.now = clock.now
    const host = listenerHost(mesh, this.stream.accepted, request.authority)
    const found = routing.resolve(mesh, request, host, context)
    this.keepRouteTimeout()
    this.deps.dryRun.run?.look(routing, found, context)
    if (context.limit !== null && found.kind === 'upstream' && this.isTooLong(context.limit)) return
    switch (found.kind) {
      case 'upstream':
        if (this.call.web !== null) this.settleWeb(this.call.web, found.cluster.service)
        if (routing.route!.mirrors.length > 0) this.outgoing.startCopies(routing.route!)
        this.tries.start(found)
        break
      case 'ask':
        if (!parked.park(found.name, this, this.stream.account.name, this.isRelayed)) this.answer(own.tooManyParked())
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

  /** A call in gRPC-Web is turned into one of gRPC where the applications speak that, else it passes as it is. */
  private settleWeb(web: WebCall, service: string): void {
    if (this.deps.mesh.protocolOf(service) === 'grpc') {
      web.begin(() => {
        this.deps.clock.refresh()
        if (this.call.web === web) this.refuseContent(own.notBase64)
      })
      this.deps.tallies.grpcWebCalls++
      this.outgoing.beginWeb(web)
      return
    }
    this.call.reset()
    this.armWhole()
    this.keepRouteTimeout()
  }

  /** Control has answered, or did not in time. */
  unpark(isTimeout: boolean): void {
    this.deps.clock.refresh()
    if (!isTimeout) this.proceed()
    else if (!this.tryFallback())
      this.answer(
        this.isRelayed
          ? own.centerNotReady()
          : own.notKnownYet(this.request.header(headers.service) ?? this.request.authority),
      )
  }

  /**
   * `x-mesh-fallback`: only when the mesh knows no instance, and only inside the allowed networks. False when the
   * caller named none, or is a peer from the network: those may not choose where this host calls.
   */
  private tryFallback(): boolean {
    const { kind } = this.stream.accepted.listener
    if (kind === 'inbound' || kind === 'gateway' || this.call.web?.isOn === true) return false
    const address = this.request.header(headers.fallback)
    if (address === undefined) return false
    const upstream = this.deps.mesh.fallback(address, this.request.speaks ?? 'http1')
    if (upstream === null) {
      this.answer(own.fallbackRefused(address))
      return true
    }
    this.tries.visit.leave()
    this.deps.tallies.fallbacks++
    this.tries.start(upstream)
    return true
  }

  // ---- the request on its routing to the attempts

  accepts(count: number): boolean {
    const isAccepted = this.outgoing.accepts(count)
    if (!isAccepted) this.context.reader?.look(true)
    return isAccepted
  }

  onContent(buf: Buffer, from: number, to: number): void {
    const { limit } = this.context
    if (limit !== null && this.outgoing.body.bytes + to - from > limit.most) this.refuseMore(limit)
    else this.outgoing.content(buf, from, to)
    this.context.reader?.look(false)
  }

  onContentEnd(trailers: Fields | null): void {
    // an application would take it for a whole request
    if (this.context.limit?.isPassed !== true) this.outgoing.end(trailers)
    this.context.reader?.look(false)
  }

  /** What came or was announced before a filter said how much may come. */
  private isTooLong({ most }: ContentLimit): boolean {
    if (Math.max(this.context.contentLength, this.outgoing.body.bytes) <= most) return false
    this.refuseContent(own.contentTooLong(most))
    return true
  }

  /** In a later turn: whoever tells of content goes on with it. */
  private refuseMore(limit: ContentLimit): void {
    if (limit.isPassed) return
    limit.isPassed = true
    setImmediate(() => {
      if (this.context.limit !== limit) return
      this.deps.clock.refresh()
      this.refuseContent(own.contentTooLong(limit.most))
    })
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
    this.answer(isUnheard ? own.centerNotReady() : own.refusalAnswer(refusal))
  }

  waited(verdict: Answer | null): void {
    this.armWhole()
    if (verdict === null) {
      this.proceed()
    } else {
      this.routing.countLateAnswer()
      this.deps.dryRun.run?.look(this.routing, verdict, this.context)
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
      this.answer(own.requestTooSlow('the request was not complete in time'))
      return
    }
    running.abandonLosing(Outcome.timeout)
    this.answer(own.replyTooSlow())
  }

  // ---- answers of our own

  refuseHead(fault: RequestFault): void {
    this.startedAt = this.deps.clock.now
    this.answer(own.errorAnswer(fault.status, fault.code, 'DPE', fault.reason))
  }

  headTimeOut(): void {
    this.startedAt = this.deps.clock.now
    this.answer(own.requestTooSlow('the request head was not complete in time'))
  }

  contentTimeOut(): void {
    this.giveUp('the request stopped coming', own.requestTooSlow('the request body stopped coming'))
  }

  /** Where no reply has begun, `answer` is one. */
  private giveUp(why: string, answer: Answer): void {
    const { winner } = this.tries.running
    if (winner === null) this.answer(answer)
    else this.replyBroken(winner, Outcome.cancelled, why)
  }

  refuseContent(fault: RequestFault): void {
    // Content that came with its head: nothing was started.
    if (!this.hasRequest) this.startedAt = this.deps.clock.now
    this.hasRequest = true
    this.giveUp('the request is broken', own.errorAnswer(fault.status, fault.code, 'DPE', fault.reason))
  }

  tell(said: Answer): void {
    const { call, context, reply, stream } = this
    const answer = call.isOn ? call.answer(said) : said
    const { clock, mesh, reports } = this.deps
    const { routing } = this
    this.tries.running.abandonLosing(Outcome.cancelled)
    if (reply.headMs < 0) reply.headMs = clock.now - this.startedAt
    context.now = clock.now
    if (call.isOn) call.status = statusOfAnswer(answer)
    reply.answer(answer)
    let edits = filterEdits(routing, context, headOf(answer))
    if (this.hasRequest) edits = this.outgoing.withRequestId(answer, edits)
    if (reports.replyFields.length > 0) reply.fields.keepAnswer(reports.replyFields, answer, edits, mesh.node.tier)
    stream.answer(answer, edits)
    this.finish()
  }

  endBy(why: string): void {
    this.deps.clock.refresh()
    this.giveUp(why, own.errorAnswer(503, 'E_ENDED_BY_OPERATOR', 'LR', why))
  }

  get crossing(): Crossing {
    return new ExchangeCrossing(this.deps, this)
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

  protected finish(): void {
    this.close()
    this.stream.done()
  }

  protected close(): void {
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
    this.turn.reset()
    this.outgoing.reset()
    this.context.reset()
    this.routing.reset()
    this.tries.reset()
    this.reply.reset()
    this.call.reset()
  }

  /** Leaves the store for good, with its stream. */
  retire(): void {
    this.deps.wheel.drop(this.wholeTimer)
    this.wait.retire()
    this.turn.retire()
    this.tries.retire()
  }
}
