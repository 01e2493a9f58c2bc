import { expect } from 'chai'

import type { Fields } from '../../../../../agent/worker/forward/streams.ts'

import { Outcome } from '../../../../../agent/worker/balance/types.ts'
import type { EndpointState, Refusal } from '../../../../../agent/worker/balance/types.ts'
import type { PoolDeps } from '../../../../../agent/worker/connect/pool-deps.ts'
import { Upstream } from '../../../../../agent/worker/connect/upstream.ts'
import type { Attempt } from '../../../../../agent/worker/forward/attempt.ts'
import { Delivery } from '../../../../../agent/worker/forward/delivery.ts'
import { Tries } from '../../../../../agent/worker/forward/tries.ts'
import type { TriesUser } from '../../../../../agent/worker/forward/tries.ts'
import type { Answer } from '../../../../../agent/worker/filters/answer.ts'
import type { Route } from '../../../../../agent/worker/route/types.ts'
import { Clock } from '../../../../../agent/worker/transport/clock.ts'
import { TimerWheel } from '../../../../../agent/worker/transport/timer-wheel.ts'
import type { HttpRouteSpec, RetryCondition } from '../../../../../contracts/route-spec.ts'
import { cluster, endpoints } from '../../../../support/balance.ts'
import { PlainReply, PlainRequest } from '../../../../support/plain-messages.ts'
import { route as routeSpec, virtualHost } from '../../../../support/routing.ts'

/** Stands for an attempt: says at which endpoint it is, and how it was ended. */
class FakeAttempt {
  state: EndpointState | null = null
  mayBeRead = true
  hasReply = false
  isReused = false
  isFresh = false
  holdsRetry = false
  ended: Outcome | null = null
  takesPlace = true
  begin(_user: unknown, _upstream: unknown, state: EndpointState, holdsRetry: boolean, needsFresh: boolean): boolean {
    this.state = state
    this.holdsRetry = holdsRetry
    this.isFresh = needsFresh
    return this.takesPlace
  }
  abandon(outcome: Outcome): void {
    this.ended = outcome
  }
}

function triesOf(more: Partial<HttpRouteSpec> = {}, method = 'GET', count = 3) {
  let now = 1000
  let wake: (() => void) | undefined
  const clock = new Clock(() => now)
  const wheel = new TimerWheel(
    () => now,
    (callback) => (wake = callback),
  )
  const attempts: FakeAttempt[] = []
  const tallies = {
    applicationWaits: 0,
    hedges: 0,
    hedgesRefused: 0,
    hedgesWon: 0,
    retries: 0,
    retriesRefused: 0,
    unreadRepeats: 0,
    reusedConnectionRepeats: 0,
  }
  const upstream = new Upstream('key', cluster({ endpoints: endpoints(count) }), {} as PoolDeps, 'http1')
  const route = virtualHost([routeSpec('a', [], more)]).routes[0] as Route
  const said: (Refusal | Answer)[] = []
  const user = {
    request: new PlainRequest({ method }),
    isReplayable: true,
    isWhole: true,
    call: { isOn: false },
    route,
    refused: (refusal: Refusal) => said.push(refusal),
    answer: (answer: Answer) => said.push(answer),
  }
  let takesPlace = true
  const tries = new Tries(
    {
      clock,
      wheel,
      random: () => 0.5,
      tallies,
      attempts: {
        take() {
          const attempt = new FakeAttempt()
          attempt.takesPlace = takesPlace
          attempts.push(attempt)
          return attempt as unknown as Attempt
        },
      },
    },
    user as unknown as TriesUser,
  )
  return {
    attempts,
    said,
    tallies,
    tries,
    upstream,
    user,
    last: () => attempts.at(-1)!,
    fail(outcome: Outcome, facts: Partial<FakeAttempt> = {}, attempt = attempts.at(-1)!): void {
      Object.assign(attempt, facts)
      tries.attemptFailed(attempt as unknown as Attempt, outcome, 'why')
    },
    reply: (status: number, delivery: Delivery = Delivery.delivered, fields: Fields = []) =>
      tries.retryReply(attempts.at(-1)! as unknown as Attempt, new PlainReply({ status, fields }), delivery),
    advance(ms: number): void {
      now += ms
      clock.refresh()
      wake?.()
    },
    noPlace: () => (takesPlace = false),
  }
}

const retry = (attempts: number, ...on: RetryCondition[]): Partial<HttpRouteSpec> => ({
  retry: { attempts, perTryTimeoutMs: 0, on, statuses: [], backoffMs: 10 },
})

describe('the tries of a request', () => {
  it('end with one answer where nothing asks for another', () => {
    const { attempts, fail, said, tries, upstream } = triesOf()
    tries.start(upstream)
    fail(Outcome.reset)
    expect(attempts).to.have.length(1)
    expect(said).to.have.length(1)
    expect(said[0]).to.include({ status: 502, code: 'E_UPSTREAM_RESET', flag: 'UC' })
  })

  it('do not end at refused connections while an endpoint is left that was not tried', () => {
    const { advance, attempts, fail, said, tries, upstream } = triesOf(retry(2, 'connect-failure'), 'POST', 9)
    tries.start(upstream)
    for (let i = 1; i < 9; i++) {
      fail(Outcome.connectFailure, { mayBeRead: false })
      advance(200)
      expect(attempts).to.have.length(i + 1)
    }
    expect(new Set(attempts.map(({ state }) => state)).size).to.equal(9)
    fail(Outcome.connectFailure, { mayBeRead: false })
    expect(said[0]).to.include({ status: 503, flag: 'UF,URX' })
  })

  it('end with their count where a connection takes too long, and where a rule allows none', () => {
    const slow = triesOf(retry(1, 'connect-failure'), 'GET', 9)
    slow.tries.start(slow.upstream)
    slow.fail(Outcome.connectTimeout, { mayBeRead: false })
    slow.advance(200)
    slow.fail(Outcome.connectTimeout, { mayBeRead: false })
    expect(slow.said).to.have.length(1)
    const none = triesOf(retry(0, 'connect-failure'), 'GET', 9)
    none.tries.start(none.upstream)
    none.fail(Outcome.connectFailure, { mayBeRead: false })
    expect(none.said).to.have.length(1)
  })

  it('go to another endpoint after a back-off, as often as the policy says, and say so at the end', () => {
    const { advance, attempts, fail, said, tallies, tries, upstream } = triesOf(retry(2, 'connect-failure'))
    tries.start(upstream)
    for (let i = 1; i <= 2; i++) {
      fail(Outcome.connectFailure, { mayBeRead: false })
      expect(attempts, 'not before the back-off').to.have.length(i)
      advance(200)
      expect(attempts).to.have.length(i + 1)
    }
    fail(Outcome.connectFailure, { mayBeRead: false })
    expect(new Set(attempts.map(({ state }) => state)).size).to.equal(3)
    expect(said[0]).to.include({ status: 503, flag: 'UF,URX' })
    expect([tallies.retries, tries.count]).to.deep.equal([2, 3])
  })

  it('repeat what is not idempotent only when nobody can have read it (R31)', () => {
    for (const [mayBeRead, expected] of [
      [true, 1],
      [false, 2],
    ] as const) {
      const { advance, attempts, fail, tries, upstream } = triesOf(retry(2, '5xx'), 'POST')
      tries.start(upstream)
      fail(Outcome.reset, { mayBeRead, hasReply: true })
      advance(200)
      expect(attempts).to.have.length(expected)
    }
  })

  it('repeat without a retry over a fresh connection, twice at most', () => {
    const { attempts, fail, said, tallies, tries, upstream } = triesOf()
    tries.start(upstream)
    fail(Outcome.reset, { mayBeRead: false, isReused: true })
    expect([attempts.length, attempts[1]!.isFresh, attempts[0]!.ended]).to.deep.equal([2, true, Outcome.cancelled])
    fail(Outcome.reset, { isReused: true })
    expect([attempts.length, attempts[1]!.ended]).to.deep.equal([3, Outcome.reset])
    expect(attempts[2]!.state, 'elsewhere when it may have been read').to.not.equal(attempts[1]!.state)
    fail(Outcome.reset, { isReused: true })
    expect([attempts.length, said.length]).to.deep.equal([3, 1])
    expect([tallies.unreadRepeats, tallies.reusedConnectionRepeats, tallies.retries]).to.deep.equal([1, 1, 0])
  })

  it('follow a reply whose status the policy names, and one of an agent that did not deliver, with any method', () => {
    const get = triesOf(retry(1, '5xx'))
    get.tries.start(get.upstream)
    expect([get.reply(200), get.reply(503)]).to.deep.equal([false, true])
    get.advance(200)
    expect([get.attempts.length, get.last().holdsRetry]).to.deep.equal([2, true])
    expect(get.reply(503), 'one retry only').to.equal(false)
    const post = triesOf(retry(1, 'connect-failure'), 'POST')
    post.tries.start(post.upstream)
    expect(post.reply(503)).to.equal(false)
    expect(post.reply(503, Delivery.unreachable)).to.equal(true)
    post.advance(200)
    expect([post.attempts.length, post.last().holdsRetry], 'without a place in the budget').to.deep.equal([2, false])
  })

  it('follow the word of an agent that the application broke off, as a reset: never for what is not idempotent', () => {
    const get = triesOf(retry(1, 'reset-before-reply'))
    get.tries.start(get.upstream)
    expect(get.reply(502)).to.equal(false)
    expect(get.reply(502, Delivery.brokenOff)).to.equal(true)
    get.advance(200)
    expect([get.attempts.length, get.last().holdsRetry]).to.deep.equal([2, true])
    expect(get.attempts[1]!.state).to.not.equal(get.attempts[0]!.state)
    const post = triesOf(retry(1, 'reset-before-reply', 'connect-failure'), 'POST')
    post.tries.start(post.upstream)
    expect(post.reply(502, Delivery.brokenOff)).to.equal(false)
    const byStatus = triesOf(retry(1, '5xx'), 'POST')
    byStatus.tries.start(byStatus.upstream)
    expect(byStatus.reply(502, Delivery.brokenOff)).to.equal(false)
  })

  it('run beside each other when the first is slow; the failure of one leaves the other', () => {
    const { advance, attempts, fail, said, tallies, tries, upstream } = triesOf({ hedge: { afterMs: 50, maxExtra: 1 } })
    tries.start(upstream)
    advance(60)
    expect([attempts.length, tallies.hedges, tries.running.isRace]).to.deep.equal([2, 1, true])
    expect(attempts[1]!.state).to.not.equal(attempts[0]!.state)
    fail(Outcome.reset, {}, attempts[1])
    expect([said.length, tries.running.newest === (attempts[0] as unknown as Attempt)]).to.deep.equal([0, true])
    tries.commit(attempts[0] as unknown as Attempt)
    expect(tries.endpoint).to.equal(attempts[0]!.state)
    advance(1000)
    expect(attempts).to.have.length(2)
  })

  it('run beside each other whatever the method where the rule says all, once the request came whole', () => {
    const hedge = { afterMs: 50, maxExtra: 2, all: true }
    const { advance, attempts, tallies, tries, upstream } = triesOf({ hedge }, 'POST')
    tries.start(upstream)
    advance(60)
    advance(60)
    advance(60)
    expect([attempts.length, tallies.hedges]).to.deep.equal([3, 2])
    tries.commit(attempts[1] as unknown as Attempt)
    expect(attempts.map(({ ended }) => ended)).to.deep.equal([Outcome.cancelled, null, Outcome.cancelled])
    expect(tallies.hedgesWon).to.equal(1)
    const open = triesOf({ hedge }, 'POST')
    open.user.isWhole = false
    open.tries.start(open.upstream)
    open.advance(60)
    open.advance(60)
    expect(open.attempts).to.have.length(1)
  })

  it('leave the field to one that runs when another is answered by what a rule would repeat', () => {
    const more = { ...retry(2, '5xx'), hedge: { afterMs: 50, maxExtra: 1 } }
    const { advance, attempts, reply, tallies, tries, upstream } = triesOf(more)
    tries.start(upstream)
    advance(60)
    expect(reply(503)).to.equal(true)
    advance(1000)
    expect([attempts.length, tallies.retries, tries.running.newest === (attempts[0] as unknown)]).to.deep.equal([
      2,
      0,
      true,
    ])
    const last = attempts[0] as unknown as Attempt
    expect(tries.retryReply(last, new PlainReply({ status: 503, fields: [] }), Delivery.delivered)).to.equal(true)
    expect(tallies.retries).to.equal(1)
  })

  it('do not run beside each other beyond the retry budget, which is counted', () => {
    const { advance, attempts, tallies, tries, upstream } = triesOf({ hedge: { afterMs: 50, maxExtra: 1 } })
    while (upstream.cluster.tryRetry());
    tries.start(upstream)
    advance(60)
    expect([attempts.length, tallies.hedges, tallies.hedgesRefused]).to.deep.equal([1, 0, 1])
  })

  it('never run beside each other with what is not idempotent or has content', () => {
    const { advance, attempts, tries, upstream } = triesOf({ hedge: { afterMs: 50, maxExtra: 1 } }, 'POST')
    tries.start(upstream)
    advance(500)
    expect(attempts).to.have.length(1)
  })

  it('go to another endpoint when theirs leaves before anything was sent, which is no retry', () => {
    const { attempts, tallies, tries, upstream } = triesOf()
    tries.start(upstream)
    tries.endpointLeft(attempts[0] as unknown as Attempt)
    expect([attempts.length, attempts[0]!.ended, tries.count, tallies.retries]).to.deep.equal([
      2,
      Outcome.cancelled,
      1,
      0,
    ])
  })

  it('are refused where there is no endpoint, and where no connection may be waited for', () => {
    const none = triesOf({}, 'GET', 0)
    none.tries.start(none.upstream)
    expect(none.said[0]).to.include({ kind: 'refusal', code: 'E_BALANCE_NO_ENDPOINT' })
    const full = triesOf()
    full.noPlace()
    full.tries.start(full.upstream)
    expect(full.said[0]).to.include({ kind: 'refusal', code: 'E_BALANCE_OVERFLOW', flag: 'UO' })
  })

  it('end their back-off with the request', () => {
    const { advance, attempts, fail, tries, upstream } = triesOf(retry(2, 'connect-failure'))
    tries.start(upstream)
    fail(Outcome.connectFailure, { mayBeRead: false })
    tries.visit.leave()
    tries.reset()
    advance(1000)
    expect(attempts).to.have.length(1)
  })

  describe('of a call in gRPC', () => {
    const unavailable: Fields = [['grpc-status', '14']]
    function calls(more = retry(1, 'unavailable')) {
      const made = triesOf(more, 'POST')
      made.user.call.isOn = true
      made.tries.start(made.upstream)
      return made
    }

    it('are repeated by a status that a rule names, though a POST may have been carried out', () => {
      const { advance, attempts, reply } = calls()
      expect(reply(200, Delivery.delivered, unavailable)).to.equal(true)
      advance(200)
      expect(attempts).to.have.length(2)
    })

    it('are not by another status, nor for a request that is no call, nor when the request is not here any more', () => {
      expect(calls().reply(200, Delivery.delivered, [['grpc-status', '13']])).to.equal(false)
      const other = triesOf(retry(1, 'unavailable'), 'POST')
      other.tries.start(other.upstream)
      expect(other.reply(200, Delivery.delivered, unavailable)).to.equal(false)
      const gone = calls()
      gone.user.isReplayable = false
      expect(gone.reply(200, Delivery.delivered, unavailable)).to.equal(false)
    })

    it('wait as long as the endpoint pushes back, and stop when it wants no other', () => {
      const { advance, attempts, reply } = calls()
      expect(reply(200, Delivery.delivered, [...unavailable, ['grpc-retry-pushback-ms', '5000']])).to.equal(true)
      advance(4900)
      expect(attempts).to.have.length(1)
      advance(200)
      expect(attempts).to.have.length(2)
      const stops: Fields = [...unavailable, ['grpc-retry-pushback-ms', '-1']]
      expect(calls().reply(200, Delivery.delivered, stops)).to.equal(false)
    })
  })
})
