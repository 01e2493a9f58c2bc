import { expect } from 'chai'
import { seededRandom } from '../../../../support/seeded-random.ts'
import {
  cluster,
  context,
  countPicks,
  endpoint,
  endpoints,
  endpointSet,
  pickState,
  policyOf,
} from '../../../../support/balance.ts'

const roundRobin = { loadBalancer: { kind: 'round-robin' } } as const

describe('round robin', () => {
  it('gives each of several equal endpoints its turn in order', () => {
    const turns = cluster({ endpoints: endpoints(3), policy: roundRobin })
    const order = Array.from({ length: 6 }, () => pickState(turns).address)
    expect(new Set(order.slice(0, 3)).size).to.equal(3)
    expect(order.slice(3)).to.deep.equal(order.slice(0, 3))
  })

  it('gives turns exactly by weight over a whole round', () => {
    const turns = cluster({
      endpoints: [endpoint('10.0.0.1', { weight: 5 }), endpoint('10.0.0.2', { weight: 2 }), endpoint('10.0.0.3')],
      policy: roundRobin,
    })
    const counts = countPicks(turns, 8000)
    expect(counts.get('10.0.0.1')).to.be.within(4998, 5002)
    expect(counts.get('10.0.0.2')).to.be.within(1998, 2002)
    expect(counts.get('10.0.0.3')).to.be.within(998, 1002)
  })

  it('spreads the turns of a heavy endpoint instead of giving them in a burst', () => {
    const turns = cluster({
      endpoints: [endpoint('10.0.0.1', { weight: 3 }), endpoint('10.0.0.2', { weight: 3 }), endpoint('10.0.0.3')],
      policy: roundRobin,
    })
    let longest = 0
    let run = 0
    let before = ''
    for (let nth = 0; nth < 700; nth++) {
      const address = pickState(turns).address
      run = address === before ? run + 1 : 1
      longest = Math.max(longest, run)
      before = address
    }
    expect(longest).to.be.at.most(2)
  })

  it('begins at different places with different seeds, so that a fleet does not begin in step', () => {
    const firsts = new Set<string>()
    for (let seed = 0; seed < 40; seed++) {
      firsts.add(
        pickState(cluster({ endpoints: endpoints(5), policy: roundRobin, random: seededRandom(seed) })).address,
      )
    }
    expect(firsts.size).to.equal(5)
  })

  it('goes on with the turns of those that stay when an endpoint joins', () => {
    const before = [endpoint('10.0.0.1', { weight: 4 }), endpoint('10.0.0.2', { weight: 2 })]
    const turns = cluster({ endpoints: before, policy: roundRobin })
    countPicks(turns, 1001)
    turns.update(endpointSet([...before, endpoint('10.0.0.3', { weight: 2 })]), policyOf(roundRobin), 0)
    const counts = countPicks(turns, 80)
    expect(counts.get('10.0.0.1')).to.be.within(39, 41)
    expect(counts.get('10.0.0.3')).to.be.within(19, 21)
  })

  it('gives no turns in arrears to an endpoint that comes back after a long absence', () => {
    const one = endpoint('10.0.0.1', { weight: 2 })
    const two = endpoint('10.0.0.2', { weight: 1 })
    const turns = cluster({ endpoints: [one, two], policy: roundRobin })
    turns.update(endpointSet([one, { ...two, healthy: false }]), policyOf({ ...roundRobin, panicShare: 0 }), 0)
    countPicks(turns, 10_000)
    turns.update(endpointSet([one, two]), policyOf({ ...roundRobin, panicShare: 0 }), 0)
    expect(countPicks(turns, 30).get('10.0.0.2')).to.be.within(9, 11)
  })

  it('keeps the weights right among 10,000 endpoints', () => {
    const many = endpoints(10_000).map((one, index) => ({ ...one, weight: 1 + (index % 3) }))
    const turns = cluster({ endpoints: many, policy: roundRobin })
    const shared = context()
    const byWeight = [0, 0, 0, 0]
    for (let nth = 0; nth < 100_000; nth++) {
      const picked = turns.pick(shared)
      if (picked.kind === 'endpoint') byWeight[picked.endpoint.weight]!++
    }
    expect(byWeight[1]! / 100_000).to.be.closeTo(1 / 6, 0.005)
    expect(byWeight[3]! / 100_000).to.be.closeTo(1 / 2, 0.005)
  })
})
