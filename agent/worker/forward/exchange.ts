import type { ErrorCode } from '../../../contracts/errors.ts'
import { probeRequest } from '../../../contracts/handoff.ts'
import type { SourceAppSpec } from '../../../contracts/snapshot.ts'
import { Outcome } from '../balance/types.ts'
import type { EndpointState, PickContext, Refusal } from '../balance/types.ts'
import type { Upstream } from '../connect/upstream.ts'
import { BodyReader } from '../protocols/http1/body-reader.ts'
import { Field } from '../protocols/http1/field-names.ts'
import { httpFault } from '../protocols/http1/fault.ts'
import { Head } from '../protocols/http1/head.ts'
import { BodyKind, Method, ReplyFraming } from '../protocols/http1/types.ts'
import { chooseDestination } from '../route/destination.ts'
import { makeHashCookie, readHash } from '../route/hash-key.ts'
import type { Destination, FilterContext, LocalReply, RequestView, Route, VirtualHost } from '../route/types.ts'
import { matchRoute } from '../route/virtual-host.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner } from '../transport/timer-wheel.ts'
import type { Attempt } from './attempt.ts'
import { failureOf, refusalStatus } from './failure.ts'
import type { HttpConnection } from './http-connection.ts'
import { tallyFault } from './limit-tallies.ts'
import { loggedRequest } from './logged-request.ts'
import { sendMirrors } from './mirror.ts'
import { ReplayBuffer } from './replay-buffer.ts'
import { backoffMs, isIdempotent, isStaleConnection, mayRepeat, wantsRetry } from './retry-decision.ts'
import type { Road } from './road.ts'
import { startTunnel } from './tunnel.ts'

/** Uses of the second timer; the first one holds the deadline of the whole. */
const TimerKind = { whole: 0, delay: 1, backoff: 2, hedge: 3 } as const

/** The same agent named this often in Via: outbound and inbound of one host are two, and a call may pass through two applications of a host (loop guard). */
const maxPasses = 8

const overflowRefusal: Refusal = {
  kind: 'refusal',
  code: 'E_BALANCE_OVERFLOW',
  flag: 'UO',
  reason: 'no connection is free and too many requests wait',
}

/**
 * One request and its response: from a whole head to the last byte of the answer. Decides the way (name, virtual host, route, filters, destination, endpoint),
 * runs the attempts, and answers for what fails. Reused for one exchange after another; an idle connection holds none.
 */
export class Exchange implements RequestView, TimerOwner {
  connection!: HttpConnection
  readonly head: Head
  readonly body: BodyReader = new BodyReader()
  readonly replay: ReplayBuffer = new ReplayBuffer()
  readonly scheme = 'http'
  host: VirtualHost | null = null
  route: Route | null = null
  destination: Destination | null = null
  upstream: Upstream | null = null
  /** Endpoint that answered, or was tried last. */
  endpoint: EndpointState | null = null
  startedAt = 0
  /** 0 = no response head yet (and for good, when the caller went away). */
  status = 0
  code: ErrorCode | undefined = undefined
  flag = '-'
  replyBytes = 0
  /** Ms from the request head to the response head; -1 = there was none. */
  headMs = -1
  attempts = 0
  isRequestDone = false
  /** Whether the head is whole, so that its facts may be read. */
  isRead = true
  /** Waits for control to answer about a name; set by `ParkedNames`. */
  isParked = false
  /** The reply was cut short (R26). */
  isTruncated = false
  readonly tried: EndpointState[] = []
  private readonly road: Road
  private readonly timer: Timer
  private readonly second: Timer
  private readonly context: FilterContext & { now: number }
  private readonly pick: PickContext
  /** Copy of the head's bytes: the read buffer is reused before the exchange is over. */
  private kept: Buffer = Buffer.alloc(0)
  private attempt: Attempt | null = null
  private hedges: Attempt[] | null = null
  private committed: Attempt | null = null
  private isAdmitted = false
  private nextFilter = 0
  private retries = 0
  private staleRepeats = 0
  /** A place in the retry budget, from the decision to retry until the attempt takes it over. */
  private holdsRetry = false
  private closesAfter = false
  private hashCookie = ''

  constructor(road: Road) {
    this.road = road
    this.head = new Head(road.strings, road.state.limits.maxFields)
    this.timer = new Timer(this, TimerKind.whole)
    this.second = new Timer(this, TimerKind.delay)
    this.context = { view: this, now: 0, random: road.random }
    this.pick = { now: 0, random: road.random, hash: 0, hasHash: false, tried: null, original: '' }
  }

  // ---- what routing reads

  get method(): string {
    return this.head.method
  }
  get path(): string {
    return this.head.path
  }
  get query(): string {
    return this.head.query
  }
  get authority(): string {
    return this.head.authority
  }
  get localPort(): number {
    return this.connection.localPort
  }
  get sourceAddress(): string {
    return this.connection.sourceAddress
  }
  get source(): SourceAppSpec | undefined {
    return this.connection.source
  }
  get callerKey(): string {
    return this.connection.callerKey
  }
  header(name: string): string | undefined {
    return this.head.header(name)
  }

  /** Head and content. */
  get requestBytes(): number {
    return this.isRead ? this.head.end - this.head.start + this.body.contentBytes : 0
  }

  /** Service key of the destination, undefined when the request never got that far. */
  get service(): string | undefined {
    return this.upstream?.cluster.service ?? this.destination?.spec.service
  }

  get perTryTimeoutMs(): number {
    return this.route?.retry?.spec.perTryTimeoutMs ?? 0
  }

  get asksUpgrade(): boolean {
    return this.head.upgradesToWebSocket
  }

  // ---- the way

  /** The head is whole, and the part of the body that came with it is in `replay`. */
  start(): void {
    const { head, road } = this
    const now = road.clock.now
    this.startedAt = now
    road.wheel.arm(this.timer, now + road.state.limits.requestTimeoutMs)
    this.keepHead()
    if (this.connection.context.kind === 'probe') {
      const isProbe = this.path === probeRequest.path && this.authority === probeRequest.host
      this.answer(isProbe ? emptyOk : { ...emptyOk, status: 404 })
      return
    }
    if (head.find(Field.via) >= 0 && head.countVia(road.state.pseudonym) >= maxPasses) {
      this.refuse(508, 'E_ROUTE_LOOP', 'NR', `the request passed this agent ${maxPasses} times`)
    } else if (head.maxForwards === 0 && head.methodId === Method.options) {
      this.answer(emptyOk)
    } else {
      this.findHost()
    }
  }

  private keepHead(): void {
    const { head } = this
    const length = head.end - head.start
    if (length > this.kept.length) this.kept = Buffer.allocUnsafeSlow(length < 1024 ? 1024 : length)
    head.buf.copy(this.kept, 0, head.start, head.end)
    head.moveTo(this.kept, 0)
  }

  private findHost(): void {
    const { state } = this.road
    const { names } = state
    const listenerHost = this.connection.context.virtualHost
    if (listenerHost !== null) {
      const host = names.host(listenerHost)
      if (host !== undefined) this.findRoute(host)
      else this.unknownService(listenerHost)
      return
    }
    const index = this.head.find(Field.xMeshService)
    const name = index >= 0 ? this.head.valueOf(index) : this.head.authority
    if (name === '') {
      this.refuse(400, 'E_ROUTE_NO_NAME', 'NR', 'neither x-mesh-service nor Host names a service')
      return
    }
    const host = index >= 0 ? names.findName(name) : state.findAuthority(name)
    if (host === undefined) {
      const asked = index >= 0 ? name : state.withoutPort(name)
      if (!this.road.parked.park(asked, this)) {
        this.refuse(503, 'E_OVERLOAD', 'OM', 'too many requests wait for services to be looked up')
      }
    } else if (host === null) {
      this.unknownService(name)
    } else {
      this.findRoute(host)
    }
  }

  /** Control has answered, or did not in time. */
  unpark(isTimeout: boolean): void {
    this.road.clock.refresh()
    if (isTimeout) this.unknownService('the named service')
    else this.findHost()
  }

  private unknownService(name: string): void {
    if (this.tryFallback()) return
    this.refuse(503, 'E_ROUTE_UNKNOWN_SERVICE', 'NC', `${name} is known to no registry and no rule`)
  }

  /** Envoy's flag for a destination that is not there; a subset that no rule defines is no unknown service. */
  private refuseUnknownDestination({ clusterKey, spec }: Destination): void {
    if (spec.subset === undefined) {
      this.refuse(503, 'E_ROUTE_UNKNOWN_SERVICE', 'NC', `the destination ${clusterKey} is not known here`)
    } else {
      this.refuse(503, 'E_BALANCE_NO_ENDPOINT', 'NC', `no rule defines subset ${spec.subset} of ${spec.service}`)
    }
  }

  private findRoute(host: VirtualHost): void {
    this.host = host
    const route = matchRoute(host, this)
    if (route === undefined) {
      this.refuse(404, 'E_ROUTE_NONE', 'NR', `no route of ${host.name} matches the request`)
      return
    }
    this.route = route
    const { timeoutMs } = route.spec
    if (timeoutMs > 0) {
      const deadline = this.startedAt + timeoutMs
      if (deadline < this.timer.deadline) this.road.wheel.arm(this.timer, deadline)
    }
    this.runFilters()
  }

  private runFilters(): void {
    const route = this.route!
    const { filters } = route
    if (this.nextFilter < filters.length) {
      this.context.now = this.road.clock.now
      while (this.nextFilter < filters.length) {
        const verdict = filters[this.nextFilter++]!.onRequest(this.context)
        if (verdict === null) continue
        if (verdict.kind === 'delay') {
          this.flag = 'DI'
          this.wait(TimerKind.delay, verdict.ms)
        } else {
          this.answer(verdict)
        }
        return
      }
    }
    const destination = chooseDestination(route, route.destinations.length > 1 ? this.road.random() : 0)
    if (destination === undefined) {
      this.refuse(404, 'E_ROUTE_NONE', 'NR', `the route ${route.spec.name} has no destination`)
      return
    }
    this.destination = destination
    const upstream = this.road.state.upstream(destination.clusterKey)
    if (upstream === undefined) {
      if (!this.tryFallback()) this.refuseUnknownDestination(destination)
      return
    }
    if (route.mirrors.length > 0) sendMirrors(this.road, this, route)
    this.enter(upstream)
  }

  private enter(upstream: Upstream): void {
    this.upstream = upstream
    upstream.uses++
    const refusal = upstream.cluster.admit(this.road.clock.now)
    if (refusal !== null) {
      this.refuseBy(refusal)
      return
    }
    this.isAdmitted = true
    this.readHash(upstream)
    this.tryOnce(false, false)
  }

  private readHash(upstream: Upstream): void {
    const key = upstream.hashKey
    this.pick.hasHash = false
    if (key === null) return
    let hash = readHash(key, this)
    if (hash === undefined) {
      const cookie = makeHashCookie(key, this.road.random)
      if (cookie === undefined) return
      this.hashCookie = cookie.field
      hash = cookie.hash
    }
    this.pick.hash = hash
    this.pick.hasHash = true
  }

  /** `x-mesh-fallback`: only when the mesh knows no instance, and only inside the allowed networks. False when the caller named none. */
  private tryFallback(): boolean {
    const index = this.head.find(Field.xMeshFallback)
    if (index < 0) return false
    const address = this.head.valueOf(index)
    const upstream = this.road.state.fallback(address)
    if (upstream === null) {
      this.refuse(
        403,
        'E_ROUTE_FALLBACK_REFUSED',
        'NR',
        `${address} is outside the networks allowed for x-mesh-fallback`,
      )
      return true
    }
    this.leave()
    this.road.tallies.fallbacks++
    this.enter(upstream)
    return true
  }

  // ---- attempts

  private tryOnce(holdsRetry: boolean, needsFresh: boolean): void {
    const upstream = this.upstream!
    const { pick, road } = this
    pick.now = road.clock.now
    pick.tried = this.tried.length > 0 ? this.tried : null
    pick.original = upstream.cluster.policy.loadBalancer.kind === 'passthrough' ? this.head.authority : ''
    const picked = upstream.cluster.pick(pick)
    if (picked.kind === 'refusal') {
      if (holdsRetry) upstream.cluster.endRetry()
      if (this.goOnWithEarlier()) return
      if (picked.code === 'E_BALANCE_NO_ENDPOINT' && this.tried.length === 0 && this.tryFallback()) return
      this.refuseBy(picked)
      return
    }
    this.attempts++
    this.endpoint = picked
    const attempt = road.attempts.take(road)
    this.attempt = attempt
    if (!attempt.begin(this, upstream, picked, holdsRetry, needsFresh)) {
      this.attempt = null
      if (!this.goOnWithEarlier()) this.refuseBy(overflowRefusal)
      return
    }
    const hedge = this.route?.spec.hedge
    if (hedge !== undefined && this.attempts <= hedge.maxExtra && this.mayHedge())
      this.wait(TimerKind.hedge, hedge.afterMs)
  }

  private mayHedge(): boolean {
    return (
      this.committed === null &&
      isIdempotent(this.head.methodId) &&
      this.head.body === BodyKind.none &&
      !this.asksUpgrade
    )
  }

  /** A second request to another endpoint, beside the first one. */
  private hedge(): void {
    const first = this.attempt
    if (first === null || !this.mayHedge() || !this.upstream!.cluster.tryRetry()) return
    this.road.tallies.hedges++
    ;(this.hedges ??= []).push(first)
    this.attempt = null
    this.noteTried(first.state!)
    this.tryOnce(true, false)
  }

  /** A second request could not be sent; the first one is still under way. */
  private goOnWithEarlier(): boolean {
    this.attempt = this.hedges?.pop() ?? null
    return this.attempt !== null
  }

  /** Puts head and body so far into the output for an attempt that got its connection. */
  writeRequest(attempt: Attempt): void {
    const { replay, road } = this
    road.heads.request(road.output, this, attempt.state!, road.state.mesh.tracing)
    if (replay.length > 0) road.output.copy(replay.bytes, 0, replay.length)
    if (this.connection.holdsBody) this.connection.continueSoon()
  }

  /** Where the request's body goes on: the attempt that has a connection. */
  get sink(): Attempt | null {
    const attempt = this.attempt
    return attempt !== null && attempt.isStreaming ? attempt : null
  }

  requestDrained(): void {
    this.connection.resumeReading()
  }

  /** An attempt brought no whole reply; it is still ours to end. */
  attemptFailed(attempt: Attempt, outcome: Outcome, reason: string): void {
    const { road } = this
    if (this.committed === attempt) {
      this.replyBroken(attempt, outcome)
      return
    }
    const { sentAny, replyBytes, isReused, state } = attempt
    const isReplayable = this.replay.isWhole
    const isStale = isStaleConnection(outcome, isReused, replyBytes, isReplayable) && this.staleRepeats < 2
    attempt.abandon(isStale ? Outcome.cancelled : outcome)
    this.dropAttempt(attempt)
    if (this.attempt !== null) return
    if (isStale) {
      this.staleRepeats++
      road.tallies.staleRepeats++
      this.tryOnce(false, true)
      return
    }
    this.noteTried(state!)
    const policy = this.route?.retry ?? null
    const sent = { methodId: this.head.methodId, sentAny, isReplayable }
    if (wantsRetry(policy, outcome, sentAny) && mayRepeat(sent) && this.retryLater(!sentAny)) return
    const failure = failureOf(outcome, reason)
    const flag = policy !== null && this.retries >= policy.spec.attempts ? `${failure.flag},URX` : failure.flag
    this.refuse(failure.status, failure.code, flag, `${state!.id}: ${reason}`)
  }

  /** Nothing of this attempt was sent and its endpoint is no longer one: it goes to another, which is no retry. Where there is no other, the old one may still answer. */
  endpointLeft(attempt: Attempt): void {
    if (this.upstream!.cluster.numbers.usableEndpoints === 0) return
    this.road.clock.refresh()
    this.attempts--
    attempt.abandon(Outcome.cancelled)
    this.dropAttempt(attempt)
    if (this.attempt === null) this.tryOnce(false, false)
  }

  private dropAttempt(attempt: Attempt): void {
    const { hedges } = this
    if (this.attempt === attempt) {
      this.attempt = hedges?.pop() ?? null
      return
    }
    const index = hedges === null ? -1 : hedges.indexOf(attempt)
    if (index >= 0) hedges!.splice(index, 1)
  }

  private noteTried(state: EndpointState): void {
    if (!this.tried.includes(state)) this.tried.push(state)
  }

  /**
   * False when the count or the budget is used up. The budget keeps repeated work away from a service in trouble; an attempt of which nothing was sent made no
   * work, so it needs none: one dead endpoint among living ones must not fail the requests that happen to meet it at the same time.
   */
  private retryLater(isFree: boolean): boolean {
    const policy = this.route!.retry!
    if (this.retries >= policy.spec.attempts) return false
    if (!isFree && !this.upstream!.cluster.tryRetry()) {
      this.road.tallies.retriesRefused++
      return false
    }
    const delay = backoffMs(policy, this.retries, this.road.random)
    this.retries++
    this.road.tallies.retries++
    this.holdsRetry = !isFree
    this.wait(TimerKind.backoff, delay)
    return true
  }

  private wait(kind: number, ms: number): void {
    this.second.kind = kind
    this.road.wheel.arm(this.second, this.road.clock.now + ms)
  }

  onTimer(timer: Timer): void {
    this.road.clock.refresh()
    switch (timer.kind) {
      case TimerKind.delay:
        this.runFilters()
        break
      case TimerKind.backoff: {
        const holdsRetry = this.holdsRetry
        this.holdsRetry = false
        this.tryOnce(holdsRetry, false)
        break
      }
      case TimerKind.hedge:
        this.hedge()
        break
      default:
        this.timeOut()
    }
  }

  private timeOut(): void {
    this.road.tallies.requestTimeouts++
    if (this.committed !== null) {
      this.replyBroken(this.committed, Outcome.timeout)
      return
    }
    if (!this.isRequestDone && this.sink !== null) {
      this.endAttempts(Outcome.cancelled)
      this.refuse(408, 'E_DOWNSTREAM_TIMEOUT', 'DT', 'the request was not complete in time')
      return
    }
    this.endAttempts(Outcome.timeout)
    this.refuse(504, 'E_UPSTREAM_TIMEOUT', 'UT', 'no reply within the time of the request')
  }

  // ---- the reply

  onInterim(attempt: Attempt): void {
    // R21: interim replies go to HTTP/1.1 callers only, and only while one attempt can still be the answer.
    if (this.head.minor === 0 || this.hedges?.length) return
    this.writeReplyHead(attempt, ReplyFraming.same)
    this.connection.flush()
  }

  private writeReplyHead(attempt: Attempt, framing: ReplyFraming): void {
    const { road } = this
    this.context.now = road.clock.now
    road.heads.reply(road.output, this, attempt.head, this.context, framing, this.closesAfter, this.hashCookie)
  }

  /** False when this reply is not the answer: the attempt is then over. */
  onReplyHead(attempt: Attempt, buf: Buffer, at: number, end: number): boolean {
    const { head: reply } = attempt
    const { road } = this
    const { status } = reply
    this.headMs = road.clock.now - this.startedAt
    attempt.judge(status >= 500 ? Outcome.serverError : Outcome.ok, status, road.clock.now - attempt.startedAt)
    const policy = this.route?.retry ?? null
    if (policy !== null && policy.onStatus(status) && this.retryStatus(attempt, buf, at, end)) return false
    this.commit(attempt)
    this.status = status
    const isOld = this.head.minor === 0
    let framing: ReplyFraming = ReplyFraming.same
    if (reply.body === BodyKind.untilClose) framing = isOld ? ReplyFraming.untilClose : ReplyFraming.chunked
    else if (reply.body === BodyKind.chunked && isOld) framing = ReplyFraming.untilClose
    attempt.rechunks = framing === ReplyFraming.chunked
    attempt.body.begin(
      reply.body,
      reply.contentLength,
      framing !== ReplyFraming.same,
      this.head.acceptsTrailers,
      road.state.limits,
    )
    // R25: a body that is still coming is not waited for.
    this.closesAfter =
      !this.head.keepsAlive || framing === ReplyFraming.untilClose || !this.isRequestDone || this.connection.isDraining
    this.writeReplyHead(attempt, framing)
    return true
  }

  /** Repeats because of the status; the reply is thrown away. */
  private retryStatus(attempt: Attempt, buf: Buffer, at: number, end: number): boolean {
    const sent = { methodId: this.head.methodId, sentAny: true, isReplayable: this.replay.isWhole }
    if (!mayRepeat(sent) || !this.retryLater(false)) return false
    this.noteTried(attempt.state!)
    const { head, body } = attempt
    body.begin(head.body, head.contentLength, false, false, this.road.state.limits)
    let from = at
    while (from < end && !body.isDone) {
      const taken = body.feed(buf, from, end)
      if (taken <= 0) break
      from += taken
    }
    const isReusable = body.isDone && from === end && head.keepsAlive && attempt.isRequestSent
    this.dropAttempt(attempt)
    if (isReusable) attempt.finish(true)
    else attempt.abandon(Outcome.cancelled)
    return true
  }

  private commit(attempt: Attempt): void {
    this.committed = attempt
    this.endpoint = attempt.state
    if (this.route === null || this.route.spec.timeoutMs === 0) this.road.wheel.disarm(this.timer)
    this.road.wheel.disarm(this.second)
    const losers = this.hedges
    if (losers === null || losers.length === 0) {
      this.attempt = attempt
      return
    }
    if (this.attempt !== attempt && this.attempt !== null) losers.push(this.attempt)
    this.attempt = attempt
    this.hedges = null
    for (const loser of losers) if (loser !== attempt) loser.abandon(Outcome.cancelled)
  }

  /** Writes what is in the output to the caller; false = the caller reads slowly, and `replyDrained` follows. */
  sendReply(): boolean {
    this.replyBytes += this.road.output.length
    return this.connection.flush()
  }

  replyDrained(): void {
    this.committed?.resumeReading()
  }

  /** The last byte of the reply was written, and the attempt is over. */
  replyDone(): void {
    this.attempt = null
    this.committed = null
    this.finish(this.closesAfter)
  }

  /** The reply broke after its head had been passed on: the caller must see that it is not whole (R26). */
  private replyBroken(attempt: Attempt, outcome: Outcome): void {
    this.isTruncated = true
    this.code = outcome === Outcome.timeout ? 'E_UPSTREAM_TIMEOUT' : 'E_UPSTREAM_TRUNCATED'
    this.flag = outcome === Outcome.timeout ? 'UT' : outcome === Outcome.protocol ? 'UPE' : 'UC'
    this.road.output.clear()
    const needsReset = attempt.body.kind === BodyKind.untilClose && !attempt.rechunks
    attempt.abandon(outcome)
    this.attempt = null
    this.committed = null
    this.road.tallies.truncatedReplies++
    const { connection } = this
    this.close()
    connection.breakOff(needsReset)
  }

  /** 101: from here on bytes pass in both directions, and the exchange is over. */
  onSwitch(attempt: Attempt, buf: Buffer, at: number, end: number): void {
    this.status = 101
    this.headMs = this.road.clock.now - this.startedAt
    attempt.judge(Outcome.ok, 101, this.headMs)
    this.commit(attempt)
    this.attempt = null
    this.committed = null
    this.writeReplyHead(attempt, ReplyFraming.same)
    this.road.output.copy(buf, at, end)
    this.replyBytes += this.road.output.length
    startTunnel(this.road, this, attempt)
  }

  // ---- answers of our own

  refuseBy(refusal: Refusal): void {
    this.refuse(refusalStatus, refusal.code, refusal.flag, refusal.reason)
  }

  refuse(status: number, code: ErrorCode, flag: string, reason: string): void {
    const body = Buffer.from(`${code}  ${reason}\n`, 'latin1')
    this.answer({ kind: 'reply', status, code, flag, headers: 'content-type: text/plain\r\n', body })
  }

  /** The head is broken: nothing of it may be read. */
  refuseHead(fault: number): void {
    const facts = httpFault(fault)
    tallyFault(this.road.tallies, fault)
    this.refuseUnread(facts.status, facts.code, 'DPE', facts.reason)
  }

  /** An answer without a request: the connection closes. */
  refuseUnread(status: number, code: ErrorCode, flag: string, reason: string): void {
    this.startedAt = this.road.clock.now
    this.isRead = false
    this.closesAfter = true
    this.refuse(status, code, flag, reason)
  }

  bodyTimeOut(): void {
    if (this.committed !== null) {
      this.replyBroken(this.committed, Outcome.cancelled)
      return
    }
    this.refuse(408, 'E_DOWNSTREAM_TIMEOUT', 'DT', 'the request body stopped coming')
  }

  /** The body is broken. */
  refuseFault(fault: number): void {
    const facts = httpFault(fault)
    tallyFault(this.road.tallies, fault)
    this.endAttempts(Outcome.cancelled)
    if (this.committed !== null) {
      this.replyBroken(this.committed, Outcome.cancelled)
      return
    }
    this.closesAfter = true
    this.refuse(facts.status, facts.code, 'DPE', facts.reason)
  }

  answer(reply: LocalReply): void {
    this.endAttempts(Outcome.cancelled)
    this.status = reply.status
    this.code = reply.code
    if (reply.flag !== '-') this.flag = reply.flag
    if (this.headMs < 0) this.headMs = this.road.clock.now - this.startedAt
    const closes = this.closesAfter || !this.head.keepsAlive || !this.isRequestDone || this.connection.isDraining
    const { output } = this.road
    this.context.now = this.road.clock.now
    this.road.heads.local(output, this, this.context, reply, this.isRead, closes)
    this.replyBytes += output.length
    this.connection.flush()
    this.finish(closes)
  }

  // ---- the end

  /** The caller is gone. */
  cancel(): void {
    this.flag = 'DC'
    this.code = 'E_DOWNSTREAM_RESET'
    this.isTruncated = true
    if (this.committed !== null) {
      this.committed.abandon(Outcome.cancelled)
      this.dropAttempt(this.committed)
      this.committed = null
    }
    this.endAttempts(Outcome.cancelled)
    this.close()
  }

  endAttempts(outcome: Outcome): void {
    if (this.committed !== null) return
    const { attempt, hedges } = this
    this.attempt = null
    this.hedges = null
    if (attempt !== null) attempt.abandon(outcome)
    if (hedges !== null) for (const hedge of hedges) hedge.abandon(Outcome.cancelled)
  }

  private finish(closes: boolean): void {
    const { connection } = this
    this.close()
    connection.exchangeDone(closes)
  }

  /** Counts it, lets everything go and returns to the store. */
  close(): void {
    const { road } = this
    road.metrics.count(this)
    if (road.accessLog.isOn && road.accessLog.wants(this)) road.accessLog.write(loggedRequest(road, this))
    this.connection.exchange = null
    this.leave()
    this.reset()
    road.exchanges.give(this)
  }

  /** The head never became whole: there was no request. */
  discard(): void {
    this.reset()
    this.road.exchanges.give(this)
  }

  /** Gives back what was taken of the cluster. */
  leave(): void {
    const { upstream } = this
    if (upstream === null) return
    if (this.holdsRetry) {
      this.holdsRetry = false
      upstream.cluster.endRetry()
    }
    if (this.isAdmitted) {
      this.isAdmitted = false
      upstream.cluster.release()
    }
    this.upstream = null
  }

  /** Leaves the admission to a tunnel, which releases it at its end. */
  giveAdmission(): void {
    this.isAdmitted = false
  }

  private reset(): void {
    const { wheel } = this.road
    wheel.disarm(this.timer)
    wheel.disarm(this.second)
    if (this.isParked) this.road.parked.forget(this)
    this.head.reset()
    this.replay.reset()
    this.host = null
    this.route = null
    this.destination = null
    this.endpoint = null
    this.status = 0
    this.code = undefined
    this.flag = '-'
    this.replyBytes = 0
    this.headMs = -1
    this.attempts = 0
    this.isRequestDone = false
    this.isRead = true
    this.isTruncated = false
    this.tried.length = 0
    this.hedges = null
    this.nextFilter = 0
    this.retries = 0
    this.staleRepeats = 0
    this.closesAfter = false
    this.hashCookie = ''
  }

  /** Leaves the store for good. */
  retire(): void {
    this.road.wheel.drop(this.timer)
    this.road.wheel.drop(this.second)
  }
}

const emptyOk: LocalReply = {
  kind: 'reply',
  status: 200,
  code: undefined,
  flag: '-',
  headers: '',
  body: Buffer.alloc(0),
}
