import { Outcome } from '../balance/types.ts'
import type { EndpointState, Refusal } from '../balance/types.ts'
import type { Upstream } from '../connect/upstream.ts'
import { BodyKind } from '../../../http1/types.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner } from '../transport/timer-wheel.ts'
import type { Attempt } from './attempt.ts'
import { Delivery } from './delivery.ts'
import { ClusterVisit } from './cluster-visit.ts'
import type { Exchange } from './exchange.ts'
import { failureOf } from './failure.ts'
import { errorAnswer } from './own-answers.ts'
import { backoffMs, FreeRepeat, freeRepeat, isIdempotent, mayRepeat, wantsRetry } from './retry-decision.ts'
import type { Road } from './road.ts'
import { RunningAttempts } from './running-attempts.ts'

/** Uses of the timer. */
const TimerKind = { backoff: 0, hedge: 1 } as const

/** Repeats of one request over connections that turn out to be closed; they use up no retry. */
const maxFreeRepeats = 2

const overflowRefusal: Refusal = {
  kind: 'refusal',
  code: 'E_BALANCE_OVERFLOW',
  flag: 'UO',
  reason: 'no connection is free and too many requests wait',
}

/**
 * All that is tried for one request at its destination: picks endpoints, begins attempts, and decides after each failure, and beside a slow one, whether there is another.
 * Ends with the one attempt whose reply is the answer, or tells the exchange that there is none.
 */
export class Tries implements TimerOwner {
  readonly visit: ClusterVisit
  readonly running: RunningAttempts = new RunningAttempts()
  /** Endpoint that answered, or was tried last. */
  endpoint: EndpointState | null = null
  /** Attempts so far. */
  count = 0
  private readonly road: Road
  private readonly exchange: Exchange
  private readonly timer: Timer
  private retries = 0
  private freeRepeats = 0

  constructor(road: Road, exchange: Exchange) {
    this.road = road
    this.exchange = exchange
    this.visit = new ClusterVisit(road.random)
    this.timer = new Timer(this, TimerKind.backoff)
  }

  start(upstream: Upstream): void {
    const refusal = this.visit.enter(upstream, this.exchange.request, this.road.clock.now)
    if (refusal === null) this.tryOnce(false, false)
    else this.exchange.refused(refusal)
  }

  private tryOnce(holdsRetry: boolean, needsFresh: boolean): void {
    const { exchange, road, running, visit } = this
    const upstream = visit.upstream!
    const picked = visit.pick(exchange.request, road.clock.now)
    if (picked.kind === 'refusal') {
      if (holdsRetry) upstream.cluster.endRetry()
      if (!running.goBack()) exchange.refused(picked)
      return
    }
    this.count++
    this.endpoint = picked
    const attempt = road.attempts.take(road)
    running.newest = attempt
    if (!attempt.begin(exchange, upstream, picked, holdsRetry, needsFresh)) {
      if (!running.goBack()) exchange.refused(overflowRefusal)
      return
    }
    const hedge = exchange.way.route?.spec.hedge
    if (hedge !== undefined && this.count <= hedge.maxExtra && this.mayHedge()) {
      this.wait(TimerKind.hedge, hedge.afterMs)
    }
  }

  private mayHedge(): boolean {
    const { request } = this.exchange
    return (
      this.running.winner === null &&
      isIdempotent(request.head.methodId) &&
      request.head.body === BodyKind.none &&
      !request.asksUpgrade
    )
  }

  /** A second request to another endpoint, beside the first one. */
  private hedge(): void {
    const { running, visit } = this
    const first = running.newest
    if (first === null || !this.mayHedge() || !visit.upstream!.cluster.tryRetry()) return
    this.road.tallies.hedges++
    running.setNewestAside()
    visit.noteTried(first.state!)
    this.tryOnce(true, false)
  }

  /** An attempt brought no reply; it is still ours to end. */
  attemptFailed(attempt: Attempt, outcome: Outcome, reason: string): void {
    const { exchange, road, running, visit } = this
    const { request } = exchange
    const { mayBeRead, replyBytes, isReused, state } = attempt
    const sent = { methodId: request.head.methodId, mayBeRead, isReplayable: request.replay.isWhole }
    const free = this.freeRepeats < maxFreeRepeats ? freeRepeat(outcome, isReused, replyBytes, sent) : FreeRepeat.none
    // An idle connection that was closed is no failure of its endpoint; one that broke under a request is.
    attempt.abandon(free === FreeRepeat.unread ? Outcome.cancelled : outcome)
    running.drop(attempt)
    if (running.newest !== null) return
    if (free !== FreeRepeat.none) {
      this.freeRepeats++
      if (free === FreeRepeat.unread) road.tallies.unreadRepeats++
      else road.tallies.reusedConnectionRepeats++
      this.tryOnce(false, true)
      return
    }
    visit.noteTried(state!)
    const policy = exchange.way.route?.retry ?? null
    if (wantsRetry(policy, outcome, mayBeRead) && mayRepeat(sent) && this.retryLater(!mayBeRead)) return
    const failure = failureOf(outcome, reason)
    const flag = policy !== null && this.retries >= policy.spec.attempts ? `${failure.flag},URX` : failure.flag
    exchange.answer(errorAnswer(failure.status, failure.code, flag, `${state!.id}: ${reason}`))
  }

  /** Nothing of this attempt was sent and its endpoint is no longer one: it goes to another, which is no retry. Where there is no other, the old one may still answer. */
  endpointLeft(attempt: Attempt): void {
    const { road, running, visit } = this
    if (visit.upstream!.cluster.numbers.usableEndpoints === 0) return
    road.clock.refresh()
    this.count--
    attempt.abandon(Outcome.cancelled)
    running.drop(attempt)
    if (running.newest === null) this.tryOnce(false, false)
  }

  /**
   * Repeats because of the reply, whose head is read and ends at `at`, and which is then thrown away: it has a status for which the route asks that, or an agent says that the
   * application could not be reached, which is a failed connect.
   */
  retryReply(attempt: Attempt, delivery: Delivery, buf: Buffer, at: number, end: number): boolean {
    const { request, way } = this.exchange
    const policy = way.route?.retry ?? null
    if (policy === null) return false
    const isUnreachable = delivery === Delivery.unreachable
    if (!(isUnreachable && policy.onConnectFailure) && !policy.onStatus(attempt.head.status)) return false
    const { mayBeRead } = attempt
    const sent = { methodId: request.head.methodId, mayBeRead, isReplayable: request.replay.isWhole }
    if (!mayRepeat(sent) || !this.retryLater(isUnreachable)) return false
    this.visit.noteTried(attempt.state!)
    this.running.drop(attempt)
    attempt.discardReply(buf, at, end)
    return true
  }

  /**
   * False when the count or the budget is used up. The budget keeps repeated work away from a service in trouble; an attempt of which nothing was sent made no
   * work, so it needs none: one dead endpoint among living ones must not fail the requests that happen to meet it at the same time.
   */
  private retryLater(isFree: boolean): boolean {
    const policy = this.exchange.way.route!.retry!
    const { random, tallies } = this.road
    if (this.retries >= policy.spec.attempts) return false
    if (!isFree && !this.visit.reserveRetry()) {
      tallies.retriesRefused++
      return false
    }
    const delay = backoffMs(policy, this.retries, random)
    this.retries++
    tallies.retries++
    this.wait(TimerKind.backoff, delay)
    return true
  }

  private wait(kind: number, ms: number): void {
    this.timer.kind = kind
    this.road.wheel.arm(this.timer, this.road.clock.now + ms)
  }

  onTimer(timer: Timer): void {
    this.road.clock.refresh()
    if (timer.kind === TimerKind.backoff) this.tryOnce(this.visit.claimRetry(), false)
    else this.hedge()
  }

  /** The reply of `attempt` is the answer. */
  commit(attempt: Attempt): void {
    this.endpoint = attempt.state
    this.road.wheel.disarm(this.timer)
    this.running.win(attempt)
  }

  /** For the next request. */
  reset(): void {
    this.road.wheel.disarm(this.timer)
    this.visit.reset()
    this.endpoint = null
    this.count = 0
    this.retries = 0
    this.freeRepeats = 0
  }

  /** Leaves the store for good, with its exchange. */
  retire(): void {
    this.road.wheel.drop(this.timer)
  }
}
