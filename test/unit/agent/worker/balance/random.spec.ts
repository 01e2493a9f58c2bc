import { expect } from 'chai'
import { cluster, countPicks, endpoint, endpoints } from '../../../../support/balance.ts'

const random = { loadBalancer: { kind: 'random' } } as const

describe('random balancing', () => {
  it('spreads equal endpoints evenly, within five standard deviations', () => {
    const counts = countPicks(cluster({ endpoints: endpoints(10), policy: random }), 100_000)
    const deviation = Math.sqrt(100_000 * 0.1 * 0.9)
    expect(counts.size).to.equal(10)
    for (const count of counts.values()) expect(Math.abs(count - 10_000)).to.be.below(5 * deviation)
  })

  it('spreads by weight, within five standard deviations, from 1 to 10,000', () => {
    const weights = [1, 10, 100, 1000, 10_000]
    const spread = cluster({
      endpoints: weights.map((weight, index) => endpoint(`10.0.0.${index}`, { weight })),
      policy: random,
    })
    const counts = countPicks(spread, 400_000)
    for (const [index, weight] of weights.entries()) {
      const share = weight / 11_111
      const deviation = Math.sqrt(400_000 * share * (1 - share))
      expect(Math.abs((counts.get(`10.0.0.${index}`) ?? 0) - 400_000 * share)).to.be.below(5 * deviation)
    }
  })

  it('accepts fractions of weights, as Nacos does', () => {
    const spread = cluster({
      endpoints: [endpoint('10.0.0.1', { weight: 0.5 }), endpoint('10.0.0.2', { weight: 1.5 })],
      policy: random,
    })
    expect(countPicks(spread, 40_000).get('10.0.0.1')).to.be.within(9500, 10_500)
  })
})
