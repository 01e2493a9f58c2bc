import { expect } from 'chai'
import { Ring } from '../../../../../agent/worker/balance/ring-hash.ts'
import { MaglevTable } from '../../../../../agent/worker/balance/maglev.ts'
import { LiveEndpoint } from '../../../../../agent/worker/balance/endpoint-state.ts'
import type { Endpoint } from '../../../../../contracts/endpoint.ts'
import type { Cluster } from '../../../../../agent/worker/balance/types.ts'
import {
  cluster,
  context,
  countPicks,
  endpoint,
  endpoints,
  endpointSet,
  pickState,
  policyOf,
  stateOf,
} from '../../../../support/balance.ts'

const key = { from: 'header', name: 'x-user' } as const
const policies = {
  'ring hash': { loadBalancer: { kind: 'ring-hash', key, minimumRingSize: 1024 }, panicShare: 0 },
  maglev: { loadBalancer: { kind: 'maglev', key, tableSize: 65_537 }, panicShare: 0 },
} as const
const keys = 20_000
/**
 * Largest share of the keys of an endpoint that stays which may move on a change: none on the ring, a few in the table.
 */
const sideMoves = { 'ring hash': 0.02, maglev: 0.03 } as const

function ownersOf(hashed: Cluster): string[] {
  const shared = context({ hasHash: true })
  return Array.from({ length: keys }, (_value, nth) => {
    shared.hash = Math.imul(nth, 2_654_435_761) >>> 0
    return pickState(hashed, shared).address
  })
}

function countOwners(owners: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const owner of owners) counts.set(owner, (counts.get(owner) ?? 0) + 1)
  return counts
}

for (const name of ['ring hash', 'maglev'] as const) {
  const policy = policies[name]
  const hashedOf = (list: readonly Endpoint[]): Cluster => cluster({ endpoints: list, policy })

  describe(name, () => {
    it('sends the same key to the same endpoint, in every worker alike', () => {
      const list = endpoints(7)
      expect(ownersOf(hashedOf(list))).to.deep.equal(ownersOf(hashedOf(list)))
    })

    it('spreads the keys over all endpoints within a quarter of the mean', () => {
      const counts = countOwners(ownersOf(hashedOf(endpoints(10))))
      expect(counts.size).to.equal(10)
      for (const count of counts.values()) expect(count).to.be.within(0.75 * (keys / 10), 1.25 * (keys / 10))
    })

    it('gives an endpoint of weight 3 about three times the keys of one of weight 1', () => {
      const list = endpoints(8).map((one, index) => ({ ...one, weight: index < 4 ? 3 : 1 }))
      const counts = countOwners(ownersOf(hashedOf(list)))
      let heavy = 0
      for (let index = 0; index < 4; index++) heavy += counts.get(`10.0.0.${index}`) ?? 0
      expect(heavy / keys).to.be.closeTo(0.75, 0.05)
    })

    it('moves the keys of a removed endpoint and nearly no other', () => {
      const list = endpoints(10)
      const hashed = hashedOf(list)
      const before = ownersOf(hashed)
      hashed.update(endpointSet(list.slice(1)), policyOf(policy), 0)
      const after = ownersOf(hashed)
      const others = before.filter((owner, nth) => owner !== '10.0.0.0' && owner !== after[nth]).length
      expect(others / keys).to.be.below(sideMoves[name])
      expect(after).to.not.include('10.0.0.0')
    })

    it('takes for an added endpoint about its share and moves nearly nothing else', () => {
      const list = endpoints(11)
      const hashed = hashedOf(list.slice(0, 10))
      const before = ownersOf(hashed)
      hashed.update(endpointSet(list), policyOf(policy), 0)
      const after = ownersOf(hashed)
      const taken = after.filter((owner) => owner === '10.0.0.10').length
      const others = after.filter((owner, nth) => owner !== '10.0.0.10' && owner !== before[nth]).length
      expect(taken / keys).to.be.closeTo(1 / 11, 0.03)
      expect(others / keys).to.be.below(sideMoves[name])
    })

    it('moves only the keys of an endpoint that becomes unusable, and gives them back', () => {
      const list = endpoints(10)
      const hashed = hashedOf(list)
      const before = ownersOf(hashed)
      hashed.update(
        endpointSet(list.map((one) => ({ ...one, healthy: one.address !== '10.0.0.4' }))),
        policyOf(policy),
        0,
      )
      const during = ownersOf(hashed)
      expect(during).to.not.include('10.0.0.4')
      for (const [nth, owner] of before.entries()) if (owner !== '10.0.0.4') expect(during[nth]).to.equal(owner)
      hashed.update(endpointSet(list), policyOf(policy), 0)
      expect(ownersOf(hashed)).to.deep.equal(before)
    })

    it('goes on to another endpoint for a retry, always the same one for the same key', () => {
      const hashed = hashedOf(endpoints(5))
      const first = pickState(hashed, { hash: 77, hasHash: true })
      const second = pickState(hashed, { hash: 77, hasHash: true, tried: [first] })
      expect(second).to.not.equal(first)
      expect(pickState(hashed, { hash: 77, hasHash: true, tried: [first] })).to.equal(second)
    })

    it('spreads requests without a key by weight', () => {
      const hashed = hashedOf([endpoint('10.0.0.1', { weight: 3 }), endpoint('10.0.0.2')])
      expect(countPicks(hashed, 20_000).get('10.0.0.1')! / 20_000).to.be.closeTo(0.75, 0.02)
    })

    it('finds a usable endpoint when nearly all are unusable', () => {
      const list = endpoints(500).map((one) => ({ ...one, healthy: one.address === '10.0.1.7' }))
      const hashed = hashedOf(list)
      expect(new Set(ownersOf(hashed))).to.deep.equal(new Set(['10.0.1.7']))
    })

    it('holds 10,000 endpoints and reaches most of them', () => {
      const hashed = hashedOf(endpoints(10_000))
      expect(new Set(ownersOf(hashed)).size).to.be.above(8000)
      expect(stateOf(hashed, '10.0.0.0').isGone).to.equal(false)
    })
  })
}

describe('ring', () => {
  for (const count of [1, 2, 3, 4, 8, 16, 31, 40])
    it(`moves no key between old endpoints when ${count} grow by one`, () => {
      const of = (size: number): string[] =>
        ownersOf(cluster({ endpoints: endpoints(size), policy: policies['ring hash'] }))
      const after = of(count + 1)
      const newcomer = endpoints(count + 1)[count]!.address
      const moved = of(count).filter((owner, nth) => after[nth] !== owner && after[nth] !== newcomer)
      expect(moved).to.have.length(0)
    })

  it('does not change the points of those that stay when one endpoint joins', () => {
    const live = endpoints(40).map((one) => new LiveEndpoint(one))
    const small = new Ring(live.slice(0, 39), 4096)
    const large = new Ring(live, 4096)
    const pointsOf = (ring: Ring, owner: number): number[] =>
      [...ring.points].filter((_p, nth) => ring.owners[nth] === owner)
    for (const owner of [0, 17, 38]) expect(pointsOf(large, owner)).to.deep.equal(pointsOf(small, owner))
  })

  it('stays within its bound of points for weights of 10,000', () => {
    const live = endpoints(2000, { weight: 10_000 }).map((one) => new LiveEndpoint(one))
    expect(new Ring(live, 8_000_000).points.length).to.be.at.most(1_048_576 + 2000)
  })
})

describe('maglev table', () => {
  it('is even within one percent for 100 endpoints in 65,537 slots', () => {
    const table = new MaglevTable(
      endpoints(100).map((one) => new LiveEndpoint(one)),
      65_537,
    )
    const slots = new Uint32Array(100)
    for (const owner of table.owners) slots[owner]!++
    expect(Math.max(...slots) / Math.min(...slots)).to.be.below(1.01)
  })

  it('raises a size that is no prime to the next prime', () => {
    expect(new MaglevTable([new LiveEndpoint(endpoint('10.0.0.1'))], 1000).owners.length).to.equal(1009)
  })

  it('gives slots by weight', () => {
    const table = new MaglevTable(
      [endpoint('10.0.0.1', { weight: 9 }), endpoint('10.0.0.2')].map((one) => new LiveEndpoint(one)),
      65_537,
    )
    const first = table.owners.filter((owner) => owner === 0).length
    expect(first / table.owners.length).to.be.closeTo(0.9, 0.001)
  })
})
