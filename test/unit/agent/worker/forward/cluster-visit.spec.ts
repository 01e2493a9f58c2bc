import { expect } from 'chai'

import type { EndpointState } from '../../../../../agent/worker/balance/types.ts'
import type { PoolDeps } from '../../../../../agent/worker/connect/pool-deps.ts'
import { Upstream } from '../../../../../agent/worker/connect/upstream.ts'
import { ClusterVisit } from '../../../../../agent/worker/forward/cluster-visit.ts'
import { defaultTrafficPolicy } from '../../../../../contracts/policy-spec.ts'
import type { TrafficPolicySpec } from '../../../../../contracts/policy-spec.ts'
import { cluster, endpoints } from '../../../../support/balance.ts'
import { request } from '../../../../support/routing.ts'
import { seededRandom } from '../../../../support/seeded-random.ts'

const byCookie: TrafficPolicySpec['loadBalancer'] = {
  kind: 'maglev',
  key: { from: 'cookie', name: 'k', path: '/', ttlMs: 1000 },
  tableSize: 251,
}

const asked = (...given: Parameters<typeof request>) => ({ ...request(...given), speaks: null })

function visitOf(policy: Partial<TrafficPolicySpec> = {}, count = 3) {
  const upstream = new Upstream('key', cluster({ endpoints: endpoints(count), policy }), {} as PoolDeps, 'http1')
  return {
    upstream,
    visit: new ClusterVisit(seededRandom(1), { callerKey: 'shop' }),
    numbers: upstream.cluster.numbers,
  }
}

describe('the visit of a request at its destination', () => {
  it('holds a place there until it leaves, once', () => {
    const { numbers, upstream, visit } = visitOf()
    expect(visit.enter(upstream, asked(), 0)).to.equal(null)
    expect([numbers.activeRequests, upstream.uses]).to.deep.equal([1, 1])
    visit.leave()
    visit.leave()
    expect(numbers.activeRequests).to.equal(0)
  })

  it('that goes on from another process holds a place past the bounds, which counts for its caller', () => {
    const { numbers, upstream, visit } = visitOf({ callers: [{ caller: 'shop', maxRequests: 1, weight: 1 }] })
    visit.restore(upstream, [], -1, true, 0)
    const next = new ClusterVisit(seededRandom(1), { callerKey: 'shop' })
    expect(next.enter(upstream, asked(), 0)?.code).to.equal('E_BALANCE_CALLER_SHARE')
    next.leave()
    visit.leave()
    expect(next.enter(upstream, asked(), 0)).to.equal(null)
    next.leave()
    expect(numbers.activeRequests).to.equal(0)
  })

  it('holds none where it was refused', () => {
    const { numbers, upstream, visit } = visitOf({ pool: { ...defaultTrafficPolicy.pool, maxRequests: 0 } })
    expect(visit.enter(upstream, asked(), 0)).to.include({ kind: 'refusal' })
    visit.leave()
    expect(numbers.activeRequests).to.equal(0)
  })

  it('leaves its place to a tunnel', () => {
    const { numbers, upstream, visit } = visitOf()
    visit.enter(upstream, asked(), 0)
    visit.giveAdmission()
    visit.leave()
    expect(numbers.activeRequests).to.equal(1)
  })

  it('is unanswered until the head of its reply, once, or its end', () => {
    const { numbers, upstream, visit } = visitOf()
    const unanswered = (): number => numbers.unansweredRequests
    visit.enter(upstream, asked(), 0)
    expect(unanswered()).to.equal(1)
    visit.leave()
    expect(unanswered()).to.equal(0)
    visit.enter(upstream, asked(), 0)
    visit.answered()
    visit.answered()
    expect(unanswered()).to.equal(0)
    visit.leave()
    for (const [isAnswered, count] of [
      [true, 0],
      [false, 1],
    ] as const) {
      visit.restore(upstream, [], -1, isAnswered, 0)
      expect(unanswered(), `restored, ${isAnswered}`).to.equal(count)
      visit.answered()
      visit.leave()
      expect(unanswered()).to.equal(0)
    }
  })

  it('picks another endpoint than those that failed, and avoids only the last one when all did', () => {
    const { upstream, visit } = visitOf()
    visit.enter(upstream, asked(), 0)
    const failed: EndpointState[] = []
    for (let i = 0; i < 3; i++) {
      const picked = visit.pick(asked(), 0, undefined) as EndpointState
      expect(failed).to.not.include(picked)
      failed.push(picked)
      visit.noteTried(picked)
    }
    expect(visit.tried).to.deep.equal([failed[2]])
    expect(visit.pick(asked(), 0, undefined)).to.not.equal(failed[2])
  })

  it('keeps a place in the retry budget until an attempt claims it, and gives back what nobody claimed', () => {
    const { numbers, upstream, visit } = visitOf()
    visit.enter(upstream, asked(), 0)
    expect([visit.reserveRetry(), numbers.activeRetries]).to.deep.equal([true, 1])
    expect([visit.claimRetry(), visit.claimRetry(), numbers.activeRetries]).to.deep.equal([true, false, 1])
    upstream.cluster.endRetry()
    visit.reserveRetry()
    visit.leave()
    expect(numbers.activeRetries).to.equal(0)
  })

  it('makes a cookie for a caller without the key, which leads to the same endpoint when it comes back', () => {
    const { upstream, visit } = visitOf({ loadBalancer: byCookie }, 20)
    visit.enter(upstream, asked(), 0)
    const [name, value] = visit.hashCookie!.fields[0]!
    expect(name).to.equal('set-cookie')
    const picked = visit.pick(asked(), 0, undefined)
    visit.leave()
    visit.reset()
    const again = asked({ headers: { cookie: value.split(';')[0]! } })
    visit.enter(upstream, again, 0)
    expect(visit.hashCookie, 'the caller has one').to.equal(null)
    expect(visit.pick(again, 0, undefined)).to.equal(picked)
  })
})
