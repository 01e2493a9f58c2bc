import type { ErrorCode } from '../../../contracts/errors.ts'
import { Outcome } from '../balance/types.ts'
import type { EndpointState, Refusal } from '../balance/types.ts'
import type { Upstream } from '../connect/upstream.ts'
import type { Tallies } from '../observe/tallies.ts'
import type { RetryPolicy, Route } from '../route/types.ts'
import type { Clock } from '../transport/clock.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner, TimerWheel } from '../transport/timer-wheel.ts'
import type { Attempt, AttemptUser } from './attempt.ts'
import type { Spares } from '../transport/spares.ts'
import { ClusterVisit } from './cluster-visit.ts'
import { Delivery } from './delivery.ts'
import type { ExchangeState } from './exchange-state.ts'
import { failureOf } from './failure.ts'
import { readPushback } from './grpc/call.ts'
import { errorAnswer } from './own-answers.ts'
import { backoffMs, FreeRepeat, freeRepeat, mayRepeat, wantsRetry } from './retry-decision.ts'
import type { Sent } from './retry-decision.ts'
import { RunningAttempts } from './running-attempts.ts'
import type { Answer, ReplyMessage, RequestMessage } from './streams.ts'

export interface TriesDeps {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly random: () => number
  readonly tallies: Pick<
    Tallies,
    | 'applicationWaits'
    | 'hedges'
    | 'hedgesRefused'
    | 'hedgesWon'
    | 'retries'
    | 'retriesRefused'
    | 'unreadRepeats'
    | 'reusedConnectionRepeats'
  >
  readonly attempts: Pick<Spares<Attempt>, 'take'>
}

/** Whose tries they are: the exchange. */
export interface TriesUser extends AttemptUser {
  readonly request: RequestMessage
  /** Everything that came of the request is still here. */
  readonly isReplayable: boolean
  /** The same, and nothing more of it comes. */
  readonly isWhole: boolean
  /** Nothing of it was delivered yet, and nobody else could deliver it. */
  readonly isOnlyHere: boolean
  readonly call: { readonly isOn: boolean }
  /** null for a destination that the caller named itself. */
  readonly route: Route | null
  /** The destination takes no try, or no other one. */
  refused(refusal: Refusal): void
  /** There is no other try: this tells why. */
  answer(answer: Answer): void
}

/** Uses of the timer. */
const TimerKind = { backoff: 0, hedge: 1, application: 2 } as const

/**
 * An application of this host that takes no connection is asked again so often, and so long, for a request that cannot
 * go elsewhere: longer than most take to start again.
 */
const applicationPauseMs = 100
const applicationTries = 30

/** Repeats of one request over connections that turn out to be closed; they use up no retry. */
const maxFreeRepeats = 2

const overflowRefusal: Refusal = {
  kind: 'refusal',
  code: 'E_BALANCE_OVERFLOW',
  flag: 'UO',
  reason: 'no connection is free and too many requests wait',
}

/**
 * All that is tried for one request at its destination: picks endpoints, begins attempts, and decides after each
 * failure, and beside a slow one, whether there is another. Ends with the one attempt whose reply is the answer, or
 * tells the exchange that there is none.
 */
export class Tries implements TimerOwner {
  readonly visit: ClusterVisit
  readonly running: RunningAttempts<Attempt> = new RunningAttempts()
  /** Endpoint that answered, or was tried last. */
  endpoint: EndpointState | null = null
  /** Attempts so far. */
  count = 0
  private readonly deps: TriesDeps
  private readonly user: TriesUser
  private readonly timer: Timer
  private retries = 0
  private freeRepeats = 0
  private applicationWaits = 0
  /** The last reply stands although the route would have it repeated: its retries are used up. */
  isExhausted = false
  /** The timer was armed since the request began; most requests never touch it. */
  private usesTimer = false

  constructor(deps: TriesDeps, user: TriesUser) {
    this.deps = deps
    this.user = user
    this.visit = new ClusterVisit(deps.random, user)
    this.timer = new Timer(this, TimerKind.backoff)
  }

  start(upstream: Upstream): void {
    const refusal = this.visit.enter(upstream, this.user.request, this.deps.clock.now)
    if (refusal === null) this.tryOnce(false, false)
    else this.user.refused(refusal)
  }

  private tryOnce(holdsRetry: boolean, needsFresh: boolean): void {
    const { deps, running, user, visit } = this
    const upstream = visit.upstream!
    const picked = visit.pick(user.request, deps.clock.now, user.route?.retry?.spec.ignorePreviousHosts)
    if (picked.kind === 'refusal') {
      if (holdsRetry) upstream.cluster.endRetry()
      if (!running.goBack() && !this.waitForApplication(picked.code)) user.refused(picked)
      return
    }
    this.count++
    this.endpoint = picked
    const attempt = deps.attempts.take()
    running.newest = attempt
    if (!attempt.begin(user, upstream, picked, holdsRetry, needsFresh)) {
      if (!running.goBack()) user.refused(overflowRefusal)
      return
    }
    const { request } = user
    const hedge = user.route?.spec.hedge
    if (hedge === undefined || this.count > hedge.maxExtra || request.asksUpgrade) return
    if (hedge.all === true || (request.isIdempotent && !request.hasContent)) this.wait(TimerKind.hedge, hedge.afterMs)
  }

  /** A second request to another endpoint, beside the first one. */
  private hedge(): void {
    const { deps, running, user, visit } = this
    const first = running.newest
    // a request that is still coming goes to one endpoint only
    if (first === null || running.winner !== null || !user.isWhole) return
    if (!visit.upstream!.cluster.tryRetry()) {
      deps.tallies.hedgesRefused++
      return
    }
    deps.tallies.hedges++
    running.setNewestAside()
    visit.noteTried(first.state!)
    this.tryOnce(true, false)
  }

  /** An attempt brought no reply; it is still ours to end. */
  attemptFailed(attempt: Attempt, outcome: Outcome, reason: string): void {
    const { running, user, visit } = this
    const { tallies } = this.deps
    const { hasReply, isResetAlone, isReused, mayBeRead, state } = attempt
    const sent = this.sent(mayBeRead)
    const wasIdle = isReused && !isResetAlone
    const free = this.freeRepeats < maxFreeRepeats ? freeRepeat(outcome, wasIdle, hasReply, sent) : FreeRepeat.none
    // An idle connection that was closed is no failure of its endpoint; one that broke under a request is.
    attempt.abandon(free === FreeRepeat.unread ? Outcome.cancelled : outcome)
    running.drop(attempt)
    if (running.newest !== null) return
    if (free !== FreeRepeat.none) {
      this.freeRepeats++
      if (free === FreeRepeat.unread) tallies.unreadRepeats++
      else {
        tallies.reusedConnectionRepeats++
        visit.noteTried(state!)
      }
      this.tryOnce(false, true)
      return
    }
    visit.noteTried(state!)
    const policy = user.route?.retry ?? null
    if (wantsRetry(policy, outcome, mayBeRead) && mayRepeat(sent)) {
      if (this.retryLater(!mayBeRead, outcome === Outcome.connectFailure)) return
    }
    const failure = failureOf(outcome, reason)
    if (this.waitForApplication(failure.code)) return
    const flag = policy !== null && this.isCountUsedUp(policy) ? `${failure.flag},URX` : failure.flag
    user.answer(errorAnswer(failure.status, failure.code, flag, `${state!.id}: ${reason}`))
  }

  /** A refused connection, and what follows from it: the application counts as gone until it is looked at again. */
  private waitForApplication(code: ErrorCode): boolean {
    const isGone = code === 'E_CONNECT_REFUSED' || code === 'E_BALANCE_NO_ENDPOINT'
    if (!isGone || this.applicationWaits === applicationTries || !this.user.isOnlyHere) return false
    this.applicationWaits++
    this.deps.tallies.applicationWaits++
    this.wait(TimerKind.application, applicationPauseMs)
    return true
  }

  /**
   * Nothing of this attempt was sent and its endpoint is no longer one: it goes to another, which is no retry. Where
   * there is no other, the old one may still answer.
   */
  endpointLeft(attempt: Attempt): void {
    const { deps, running, visit } = this
    if (visit.upstream!.cluster.numbers.usableEndpoints === 0) return
    deps.clock.refresh()
    this.count--
    attempt.abandon(Outcome.cancelled)
    running.drop(attempt)
    if (running.newest === null) this.tryOnce(false, false)
  }

  /**
   * Repeats because of the reply, which is then thrown away: it has a status for which the route asks that, or an agent
   * says that the application could not be reached, which is a failed connect, or broke off, which is a reset.
   */
  retryReply(attempt: Attempt, reply: ReplyMessage, delivery: Delivery): boolean {
    const policy = this.user.route?.retry ?? null
    if (policy === null) return false
    const { running, visit } = this
    const isUnreachable = delivery === Delivery.unreachable
    const byStatus = asksByGrpcStatus(policy, reply)
    const byDelivery =
      (isUnreachable && policy.onConnectFailure) || (delivery === Delivery.brokenOff && policy.onResetBeforeReply)
    if (!byDelivery && !byStatus && !policy.onStatus(reply.status)) return false
    // A rule that names statuses of gRPC says that such calls may be repeated; every call is a POST.
    const isAllowed = byStatus && this.user.call.isOn
    const mayBeRead = delivery === Delivery.delivered || delivery === Delivery.brokenOff
    if (!mayRepeat(this.sent(mayBeRead && !isAllowed))) return false
    const pushback = readPushback(reply.header('grpc-retry-pushback-ms'))
    if (pushback === -1) return false
    if (running.isRace) {
      // another one is under way already, which may do better
      visit.noteTried(attempt.state!)
      running.drop(attempt)
      return true
    }
    if (!this.retryLater(isUnreachable, isUnreachable, pushback)) {
      this.isExhausted = this.isCountUsedUp(policy)
      return false
    }
    visit.noteTried(attempt.state!)
    running.drop(attempt)
    return true
  }

  /** A rule that allows no retries has none to use up. */
  private isCountUsedUp({ spec }: RetryPolicy): boolean {
    return spec.attempts > 0 && this.retries >= spec.attempts
  }

  private sent(mayBeRead: boolean): Sent {
    const { isReplayable, request, route } = this.user
    return { isIdempotent: request.isIdempotent || route?.retry?.spec.all === true, mayBeRead, isReplayable }
  }

  /**
   * False when the count or the budget is used up. `waitMs`: what the endpoint asks for, in place of the back-off. The
   * budget keeps repeated work away from a service in trouble; an
   * attempt of which nothing was sent made no work, so it needs none: one dead endpoint among living ones must not fail
   * the requests that happen to meet it at the same time. Nor does the count end at refused connections while there is
   * an endpoint that was not tried: where most instances leave at once, the others must be found.
   */
  private retryLater(isFree: boolean, isRefused: boolean, waitMs?: number): boolean {
    const policy = this.user.route!.retry!
    const { random, tallies } = this.deps
    const { attempts, ignorePreviousHosts } = policy.spec
    const isUsedUp = this.retries >= attempts
    if (isUsedUp && !(attempts > 0 && isRefused && this.visit.hasUntried(this.count, ignorePreviousHosts))) return false
    if (!isFree && !this.visit.reserveRetry()) {
      tallies.retriesRefused++
      return false
    }
    const delay = waitMs ?? (isUsedUp ? 0 : backoffMs(policy, this.retries, random))
    this.retries++
    tallies.retries++
    this.wait(TimerKind.backoff, delay)
    return true
  }

  private wait(kind: number, ms: number): void {
    this.usesTimer = true
    this.timer.kind = kind
    this.deps.wheel.arm(this.timer, this.deps.clock.now + ms)
  }

  onTimer(timer: Timer): void {
    this.deps.clock.refresh()
    if (timer.kind === TimerKind.backoff) this.tryOnce(this.visit.claimRetry(), false)
    else if (timer.kind === TimerKind.application) this.tryOnce(false, false)
    else this.hedge()
  }

  /** The reply of `attempt` is the answer. */
  commit(attempt: Attempt): void {
    this.endpoint = attempt.state
    if (this.running.isRace && !this.running.isFirst(attempt)) this.deps.tallies.hedgesWon++
    if (this.usesTimer) this.deps.wheel.disarm(this.timer)
    this.running.win(attempt)
    this.visit.answered()
  }

  /** Another try will begin at its time. */
  get isWaiting(): boolean {
    return this.usesTimer && this.timer.isArmed
  }

  get state(): ExchangeState['tries'] {
    const { count, freeRepeats, isExhausted, retries, visit } = this
    return { count, retries, freeRepeats, isExhausted, ...visit.state }
  }

  /** Instead of `start`: goes on with the one attempt of another process, which is answered. */
  restore(from: ExchangeState, upstream: Upstream, endpoint: EndpointState): Attempt {
    const { count, freeRepeats, hash, isExhausted, retries, tried } = from.tries
    this.visit.restore(upstream, tried, hash, from.attempt.hasWon, this.deps.clock.now)
    this.count = count
    this.retries = retries
    this.freeRepeats = freeRepeats
    this.isExhausted = isExhausted
    this.endpoint = endpoint
    const attempt = this.deps.attempts.take()
    attempt.restore(this.user, upstream, endpoint, from.attempt)
    this.running.newest = attempt
    if (from.attempt.hasWon) this.running.winner = attempt
    return attempt
  }

  /** Nothing more is tried; attempts without a reply end. */
  stop(): void {
    this.running.abandonLosing(Outcome.cancelled)
    if (this.usesTimer) this.deps.wheel.disarm(this.timer)
    this.visit.endAdmission()
  }

  /** For the next request. */
  reset(): void {
    if (this.usesTimer) {
      this.usesTimer = false
      this.deps.wheel.disarm(this.timer)
    }
    this.visit.reset()
    this.endpoint = null
    this.count = 0
    this.retries = 0
    this.freeRepeats = 0
    this.applicationWaits = 0
    this.isExhausted = false
  }

  /** Leaves the store for good, with its exchange. */
  retire(): void {
    this.deps.wheel.drop(this.timer)
  }
}

function asksByGrpcStatus(policy: RetryPolicy, reply: ReplyMessage): boolean {
  return policy.readsGrpcStatus && policy.onGrpcStatus(reply.header('grpc-status') ?? '')
}
