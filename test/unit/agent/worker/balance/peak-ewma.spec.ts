import { expect } from 'chai'
import { Outcome } from '../../../../../agent/worker/balance/types.ts'
import { attempt, cluster, context, countPicks, endpoints, pickState, stateOf } from '../../../../support/balance.ts'

const peakEwma = { loadBalancer: { kind: 'peak-ewma', decayMs: 10_000 } } as const

describe('peak EWMA', () => {
  it('prefers the faster of two endpoints', () => {
    const two = cluster({ endpoints: endpoints(2), policy: peakEwma })
    attempt(two, stateOf(two, '10.0.0.0'), Outcome.ok, { latencyMs: 50 })
    attempt(two, stateOf(two, '10.0.0.1'), Outcome.ok, { latencyMs: 5 })
    expect(countPicks(two, 100)).to.deep.equal(new Map([['10.0.0.1', 100]]))
  })

  it('weighs waiting requests against latency: the slower one gets its share once the faster one is busy', () => {
    const two = cluster({ endpoints: endpoints(2), policy: peakEwma })
    attempt(two, stateOf(two, '10.0.0.0'), Outcome.ok, { latencyMs: 30 })
    attempt(two, stateOf(two, '10.0.0.1'), Outcome.ok, { latencyMs: 10 })
    const shared = context()
    for (let nth = 0; nth < 100; nth++) two.beginAttempt(pickState(two, shared), 0)
    expect(stateOf(two, '10.0.0.1').activeRequests).to.be.within(73, 77)
  })

  it('leaves an endpoint at its first slow answer and trusts it again only slowly', () => {
    const two = cluster({ endpoints: endpoints(2), policy: peakEwma })
    const [slow, steady] = [stateOf(two, '10.0.0.0'), stateOf(two, '10.0.0.1')]
    for (let nth = 0; nth < 20; nth++) {
      attempt(two, slow, Outcome.ok, { latencyMs: 1 })
      attempt(two, steady, Outcome.ok, { latencyMs: 5 })
    }
    attempt(two, slow, Outcome.ok, { latencyMs: 500 })
    expect(pickState(two).address).to.equal('10.0.0.1')
    attempt(two, steady, Outcome.ok, { latencyMs: 5, now: 1000 })
    expect(pickState(two, { now: 1000 }).address).to.equal('10.0.0.1')
  })

  it('tries an avoided endpoint again when what is known has faded', () => {
    const two = cluster({ endpoints: endpoints(2), policy: peakEwma })
    attempt(two, stateOf(two, '10.0.0.0'), Outcome.ok, { latencyMs: 100 })
    attempt(two, stateOf(two, '10.0.0.1'), Outcome.ok, { latencyMs: 20, now: 20_000 })
    expect(pickState(two, { now: 20_000 }).address).to.equal('10.0.0.0')
  })

  it('tries a new endpoint first, but with one request at a time', () => {
    const two = cluster({ endpoints: endpoints(2), policy: peakEwma })
    attempt(two, stateOf(two, '10.0.0.0'), Outcome.ok, { latencyMs: 5 })
    const shared = context()
    for (let nth = 0; nth < 20; nth++) two.beginAttempt(pickState(two, shared), 0)
    expect(stateOf(two, '10.0.0.1').activeRequests).to.equal(1)
  })

  it('does not take an endpoint that fails fast for a fast one', () => {
    for (const outcome of [Outcome.connectFailure, Outcome.serverError, Outcome.reset]) {
      const two = cluster({ endpoints: endpoints(2), policy: peakEwma })
      attempt(two, stateOf(two, '10.0.0.0'), outcome, {
        status: 503,
        latencyMs: outcome === Outcome.serverError ? 1 : -1,
      })
      attempt(two, stateOf(two, '10.0.0.1'), Outcome.ok, { latencyMs: 50 })
      expect(countPicks(two, 50).get('10.0.0.1')).to.equal(50)
    }
  })

  it('learns nothing from a cancelled attempt', () => {
    const two = cluster({ endpoints: endpoints(2), policy: peakEwma })
    attempt(two, stateOf(two, '10.0.0.0'), Outcome.cancelled, { latencyMs: 900 })
    expect(countPicks(two, 100).size).to.equal(2)
  })

  it('counts an answer below the tick of the clock as fast, not as unknown', () => {
    const two = cluster({ endpoints: endpoints(2), policy: peakEwma })
    attempt(two, stateOf(two, '10.0.0.0'), Outcome.ok, { latencyMs: 0 })
    attempt(two, stateOf(two, '10.0.0.1'), Outcome.ok, { latencyMs: 10 })
    const shared = context()
    for (let nth = 0; nth < 20; nth++) two.beginAttempt(pickState(two, shared), 0)
    expect(stateOf(two, '10.0.0.0').activeRequests).to.equal(20)
  })
})
