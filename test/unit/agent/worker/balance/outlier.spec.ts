import { expect } from 'chai'
import { Outcome } from '../../../../../agent/worker/balance/types.ts'
import type { Cluster } from '../../../../../agent/worker/balance/types.ts'
import type { OutlierSpec } from '../../../../../contracts/policy-spec.ts'
import {
  attempt,
  cluster,
  countPicks,
  endpoints,
  endpointSet,
  outlierOf,
  policyOf,
  stateOf,
} from '../../../../support/balance.ts'

function watched(count: number, traits: Partial<OutlierSpec> = {}): Cluster {
  return cluster({
    endpoints: endpoints(count),
    policy: { outlier: outlierOf(traits), loadBalancer: { kind: 'random' }, panicShare: 0 },
  })
}

function fail(watchedCluster: Cluster, index: number, times: number, outcome: Outcome, status = 0, now = 0): void {
  for (let nth = 0; nth < times; nth++) attempt(watchedCluster, watchedCluster.states[index]!, outcome, { status, now })
}

const isOut = (watchedCluster: Cluster, address: string, now: number): boolean =>
  !countPicks(watchedCluster, 2000, { now }).has(address)

describe('outlier detection', () => {
  it('ejects after the given number of 5xx in a row, not before', () => {
    const some = watched(4)
    fail(some, 0, 4, Outcome.serverError, 500)
    expect(isOut(some, '10.0.0.0', 1)).to.equal(false)
    fail(some, 0, 1, Outcome.serverError, 500)
    expect(isOut(some, '10.0.0.0', 1)).to.equal(true)
    expect(some.numbers).to.include({ ejectedEndpoints: 1, ejections: 1, usableEndpoints: 3 })
  })

  it('begins to count anew after a good answer', () => {
    const some = watched(4)
    fail(some, 0, 4, Outcome.serverError, 500)
    fail(some, 0, 1, Outcome.ok, 200)
    fail(some, 0, 4, Outcome.serverError, 500)
    expect(isOut(some, '10.0.0.0', 1)).to.equal(false)
  })

  it('counts only 502, 503 and 504 as gateway errors', () => {
    const gateway = { consecutive5xx: 0, consecutiveGatewayErrors: 3 }
    const some = watched(4, gateway)
    fail(some, 0, 9, Outcome.serverError, 500)
    expect(isOut(some, '10.0.0.0', 1)).to.equal(false)
    fail(some, 0, 2, Outcome.serverError, 503)
    fail(some, 0, 1, Outcome.serverError, 500)
    expect(isOut(some, '10.0.0.0', 1)).to.equal(false)
    for (const status of [502, 503, 504]) fail(some, 0, 1, Outcome.serverError, status)
    expect(isOut(some, '10.0.0.0', 1)).to.equal(true)
  })

  it('counts failures before an answer as gateway errors unless local errors are split', () => {
    for (const outcome of [
      Outcome.connectFailure,
      Outcome.connectTimeout,
      Outcome.reset,
      Outcome.timeout,
      Outcome.protocol,
    ]) {
      const some = watched(4, { consecutive5xx: 0, consecutiveGatewayErrors: 3 })
      fail(some, 0, 3, outcome)
      expect(isOut(some, '10.0.0.0', 1)).to.equal(true)
    }
  })

  it('counts failures before an answer apart from 5xx when local errors are split', () => {
    const split = watched(4, { splitLocalErrors: true, consecutive5xx: 3, consecutiveLocalFailures: 5 })
    fail(split, 0, 2, Outcome.serverError, 500)
    fail(split, 1, 4, Outcome.connectFailure)
    fail(split, 1, 1, Outcome.serverError, 500)
    fail(split, 1, 4, Outcome.connectFailure)
    // after the second in which whoever took no connection is passed over
    expect(isOut(split, '10.0.0.1', 1001)).to.equal(false)
    fail(split, 1, 1, Outcome.connectFailure)
    expect(isOut(split, '10.0.0.1', 1001)).to.equal(true)
    expect(isOut(split, '10.0.0.0', 1001)).to.equal(false)
  })

  it('does not eject for callers who went away', () => {
    const some = watched(4)
    fail(some, 0, 50, Outcome.cancelled)
    expect(isOut(some, '10.0.0.0', 1)).to.equal(false)
  })

  it('takes an endpoint back when its time is over, without anybody calling tick', () => {
    const some = watched(4)
    fail(some, 0, 5, Outcome.serverError, 500)
    expect(isOut(some, '10.0.0.0', 29_999)).to.equal(true)
    expect(isOut(some, '10.0.0.0', 30_000)).to.equal(false)
    expect(some.numbers.ejectedEndpoints).to.equal(0)
  })

  it('ejects longer each time, up to the cap', () => {
    const some = watched(4, { baseEjectionMs: 10_000, maxEjectionMs: 25_000, intervalMs: 1_000_000 })
    let now = 0
    for (const expected of [10_000, 20_000, 25_000, 25_000]) {
      fail(some, 0, 5, Outcome.serverError, 500, now)
      some.tick(now + expected - 1)
      expect(some.numbers.ejectedEndpoints, `${expected} ms`).to.equal(1)
      now += expected
      some.tick(now)
      expect(some.numbers.ejectedEndpoints, `${expected} ms`).to.equal(0)
    }
  })

  it('ejects for the base time again after as many quiet intervals', () => {
    const some = watched(4, { baseEjectionMs: 10_000, intervalMs: 10_000 })
    fail(some, 0, 5, Outcome.serverError, 500, 0)
    for (let now = 10_000; now <= 60_000; now += 10_000) some.tick(now)
    fail(some, 0, 5, Outcome.serverError, 500, 60_001)
    some.tick(70_001)
    expect(some.numbers.ejectedEndpoints).to.equal(0)
  })

  it('never ejects more than the allowed share', () => {
    const some = watched(10, { maxEjectionShare: 0.3 })
    for (let index = 0; index < 10; index++) fail(some, index, 5, Outcome.serverError, 500)
    some.tick(0)
    expect(some.numbers.ejectedEndpoints).to.equal(3)
  })

  it('may eject one of two with a small share, but never the only one', () => {
    const two = watched(2, { maxEjectionShare: 0.1 })
    for (const index of [0, 1]) fail(two, index, 5, Outcome.serverError, 500)
    two.tick(0)
    expect(two.numbers.ejectedEndpoints).to.equal(1)
    const one = watched(1, { maxEjectionShare: 1 })
    fail(one, 0, 50, Outcome.serverError, 500)
    one.tick(0)
    expect(one.numbers.ejectedEndpoints).to.equal(0)
  })

  it('ejects by success rate those far below the others', () => {
    const some = watched(5, {
      consecutive5xx: 0,
      successRate: { minimumHosts: 5, requestVolume: 100, stdevFactor: 1.9 },
    })
    for (let index = 0; index < 5; index++) {
      for (let nth = 0; nth < 100; nth++) {
        const isBad = index === 2 && nth % 2 === 0
        attempt(some, some.states[index]!, isBad ? Outcome.serverError : Outcome.ok, { status: isBad ? 500 : 200 })
      }
    }
    some.tick(10_000)
    expect(some.dump(10_000).endpoints[2]!.state).to.contain('success rate far below the others')
    expect(some.numbers.ejectedEndpoints).to.equal(1)
  })

  it('judges no success rate with too few endpoints or requests', () => {
    const successRate = { minimumHosts: 5, requestVolume: 100, stdevFactor: 1 }
    for (const [count, requests] of [
      [4, 100],
      [5, 99],
    ] as const) {
      const some = watched(count, { consecutive5xx: 0, successRate })
      for (let index = 0; index < count; index++) {
        fail(some, index, requests, index === 0 ? Outcome.serverError : Outcome.ok, index === 0 ? 500 : 200)
      }
      some.tick(10_000)
      expect(some.numbers.ejectedEndpoints).to.equal(0)
    }
  })

  it('stands aside while too few endpoints are healthy, and lets the ejected ones serve', () => {
    const some = watched(4, { minHealthShare: 0.6, maxEjectionShare: 1 })
    for (const index of [0, 1]) fail(some, index, 5, Outcome.serverError, 500)
    expect(countPicks(some, 2000).size).to.equal(4)
    fail(some, 2, 50, Outcome.serverError, 500)
    some.tick(1)
    expect(some.numbers.ejectedEndpoints).to.equal(2)
  })

  it('keeps an ejection over an update of the endpoints and of other fields of the policy', () => {
    const some = watched(4)
    fail(some, 0, 5, Outcome.serverError, 500)
    some.update(
      endpointSet(endpoints(5)),
      policyOf({ outlier: outlierOf({ consecutive5xx: 7 }), panicShare: 0, loadBalancer: { kind: 'random' } }),
      10,
    )
    expect(isOut(some, '10.0.0.0', 20)).to.equal(true)
  })

  it('takes everybody back when it is switched off', () => {
    const some = watched(4)
    fail(some, 0, 5, Outcome.serverError, 500)
    some.update(endpointSet(endpoints(4)), policyOf({ panicShare: 0 }), 10)
    expect(isOut(some, '10.0.0.0', 20)).to.equal(false)
  })

  it('forgets the ejection of an endpoint that left and does not count it against the share', () => {
    const some = watched(4, { maxEjectionShare: 0.25 })
    fail(some, 0, 5, Outcome.serverError, 500)
    const gone = stateOf(some, '10.0.0.0')
    some.update(endpointSet(endpoints(5).slice(1)), some.policy, 1)
    fail(some, 0, 5, Outcome.serverError, 500)
    some.tick(2)
    expect(some.numbers.ejectedEndpoints).to.equal(1)
    attempt(some, gone, Outcome.serverError, { status: 500 })
    expect(some.numbers.ejectedEndpoints).to.equal(1)
  })
})
