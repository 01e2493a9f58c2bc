import { expect } from 'chai'
import { seededRandom } from '../../../../support/seeded-random.ts'
import { cluster, context, countPicks, endpoint, endpoints, pickState, stateOf } from '../../../../support/balance.ts'

const leastRequest = { loadBalancer: { kind: 'least-request', choices: 2 } } as const

describe('least request', () => {
  it('prefers the endpoint with fewer requests in flight', () => {
    const two = cluster({ endpoints: endpoints(2), policy: leastRequest })
    stateOf(two, '10.0.0.0').activeRequests = 1
    expect(countPicks(two, 100)).to.deep.equal(new Map([['10.0.0.1', 100]]))
  })

  it('spreads by weight while nothing is in flight', () => {
    const counts = countPicks(
      cluster({ endpoints: [endpoint('10.0.0.1', { weight: 3 }), endpoint('10.0.0.2')], policy: leastRequest }),
      40_000,
    )
    expect(counts.get('10.0.0.1')! / 40_000).to.be.closeTo(0.75, 0.02)
  })

  it('fills endpoints in proportion to their weight under load', () => {
    const loaded = cluster({
      endpoints: [endpoint('10.0.0.1', { weight: 3 }), endpoint('10.0.0.2')],
      policy: leastRequest,
    })
    const shared = context()
    for (let nth = 0; nth < 400; nth++) loaded.beginAttempt(pickState(loaded, shared), 0)
    expect(stateOf(loaded, '10.0.0.1').activeRequests).to.be.within(298, 302)
  })

  it('keeps the fullest of 100 endpoints far below what random choice would give', () => {
    const fullest = (kind: typeof leastRequest.loadBalancer | { kind: 'random' }): number => {
      const loaded = cluster({ endpoints: endpoints(100), policy: { loadBalancer: kind } })
      const shared = context({ random: seededRandom(5) })
      for (let nth = 0; nth < 10_000; nth++) loaded.beginAttempt(pickState(loaded, shared), 0)
      return Math.max(...loaded.states.map((state) => state.activeRequests))
    }
    expect(fullest(leastRequest.loadBalancer)).to.be.at.most(103)
    expect(fullest({ kind: 'random' })).to.be.above(115)
  })

  it('finds the only idle one among many with as many choices as endpoints nearly always', () => {
    const busy = cluster({
      endpoints: endpoints(8),
      policy: { loadBalancer: { kind: 'least-request', choices: 16 } },
    })
    for (const state of busy.states) state.activeRequests = state.address === '10.0.0.5' ? 0 : 9
    expect(countPicks(busy, 1000).get('10.0.0.5')).to.be.above(800)
  })

  it('serves from a single endpoint', () => {
    expect(pickState(cluster({ endpoints: endpoints(1), policy: leastRequest })).address).to.equal('10.0.0.0')
  })
})
