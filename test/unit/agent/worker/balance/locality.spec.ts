import { expect } from 'chai'
import type { Cluster } from '../../../../../agent/worker/balance/types.ts'
import type { Endpoint } from '../../../../../contracts/endpoint.ts'
import type { LocalitySpec } from '../../../../../contracts/policy-spec.ts'
import {
  cluster,
  context,
  countPicks,
  endpoint,
  endpointSet,
  pickRefusal,
  pickState,
  policyOf,
} from '../../../../support/balance.ts'

const own = { region: 'bj', zone: 'bj-1' }

/** `count` endpoints of a zone of which `dead` are unhealthy; addresses begin with the zone. */
function zone(region: string, name: string, count: number, dead = 0): Endpoint[] {
  const block = Buffer.from(name).reduce((sum, byte) => (sum * 31 + byte) % 250, 7)
  return Array.from({ length: count }, (_value, index) =>
    endpoint(`10.1.${block}.${index}`, { region, zone: name, healthy: index >= dead }),
  )
}

function placed(list: readonly Endpoint[], locality: LocalitySpec = { enabled: true }, panicShare = 0.5): Cluster {
  return cluster({ endpoints: list, own, policy: { locality, panicShare, loadBalancer: { kind: 'random' } } })
}

function sharesOf(placedCluster: Cluster, picks = 20_000): Record<string, number> {
  const shared = context()
  const shares: Record<string, number> = {}
  for (let nth = 0; nth < picks; nth++) {
    const { region, zone: name } = pickState(placedCluster, shared).endpoint.locality
    shares[`${region}/${name}`] = (shares[`${region}/${name}`] ?? 0) + 1 / picks
  }
  return shares
}

describe('locality', () => {
  const near = zone('bj', 'bj-1', 4)
  const sameRegion = zone('bj', 'bj-2', 4)
  const far = zone('sh', 'sh-1', 4)
  const farther = zone('gz', 'gz-1', 4)

  it('keeps all traffic in the own zone while it is healthy', () => {
    expect(sharesOf(placed([...near, ...sameRegion, ...far]))).to.have.all.keys('bj/bj-1')
  })

  it('keeps all traffic in the own zone while its healthy share is at the panic threshold', () => {
    expect(sharesOf(placed([...zone('bj', 'bj-1', 4, 2), ...sameRegion]))).to.have.all.keys('bj/bj-1')
  })

  it('spills to the own region in proportion once the healthy share of the zone is below the panic threshold', () => {
    const shares = sharesOf(placed([...zone('bj', 'bj-1', 4, 3), ...sameRegion, ...far]))
    expect(shares).to.have.all.keys('bj/bj-1', 'bj/bj-2')
    expect(shares['bj/bj-1']).to.be.closeTo(0.5, 0.02)
  })

  it('never spills to the dead of the own zone: only its healthy ones get its part', () => {
    const spilling = placed([...zone('bj', 'bj-1', 4, 3), ...sameRegion])
    const shared = context()
    for (let nth = 0; nth < 1000; nth++) expect(pickState(spilling, shared).endpoint.healthy).to.equal(true)
  })

  it('goes to the own region when the zone is dead, then to any other', () => {
    expect(sharesOf(placed([...zone('bj', 'bj-1', 4, 4), ...sameRegion, ...far]))).to.have.all.keys('bj/bj-2')
    const noneNear = [...zone('bj', 'bj-1', 4, 4), ...zone('bj', 'bj-2', 4, 4), ...far]
    expect(sharesOf(placed(noneNear))).to.have.all.keys('sh/sh-1')
  })

  it('goes to the region that failover names before the others', () => {
    const locality = { enabled: true, failover: [{ from: 'bj', to: 'gz' }] }
    expect(sharesOf(placed([...zone('bj', 'bj-1', 4, 4), ...far, ...farther], locality))).to.have.all.keys('gz/gz-1')
  })

  it('comes back to the own zone as soon as it is healthy again', () => {
    const moving = placed([...zone('bj', 'bj-1', 4, 4), ...sameRegion])
    expect(sharesOf(moving)).to.have.all.keys('bj/bj-2')
    moving.update(endpointSet([...near, ...sameRegion]), moving.policy, 0)
    expect(sharesOf(moving)).to.have.all.keys('bj/bj-1')
  })

  it('spreads over all localities when it is switched off or the host does not know where it is', () => {
    const everybody = [...near, ...far]
    expect(sharesOf(placed(everybody, { enabled: false }))['bj/bj-1']).to.be.closeTo(0.5, 0.02)
    const lost = cluster({ endpoints: everybody, policy: { loadBalancer: { kind: 'random' } } })
    expect(sharesOf(lost)['sh/sh-1']).to.be.closeTo(0.5, 0.02)
  })

  it('follows a host that learns of its locality later', () => {
    const learning = cluster({ endpoints: [...near, ...far] })
    learning.update(endpointSet([...near, ...far]), learning.policy, 0, undefined, own)
    expect(sharesOf(learning)).to.have.all.keys('bj/bj-1')
  })

  it('distributes by the given shares, also where they differ from the number of endpoints', () => {
    const locality = {
      enabled: true,
      distribute: [{ from: 'bj/*', to: { 'bj/bj-1': 0.7, 'bj/bj-2': 0.2, 'sh/*': 0.1 } }],
    }
    const shares = sharesOf(placed([...near.slice(0, 1), ...sameRegion, ...far, ...farther], locality))
    expect(shares['bj/bj-1']).to.be.closeTo(0.7, 0.02)
    expect(shares['bj/bj-2']).to.be.closeTo(0.2, 0.02)
    expect(shares['sh/sh-1']).to.be.closeTo(0.1, 0.02)
    expect(shares).to.not.have.property('gz/gz-1')
  })

  it('gives the share of a dead locality to the others that distribute names', () => {
    const locality = { enabled: true, distribute: [{ from: 'bj/bj-1', to: { 'bj/bj-1': 0.8, 'sh/sh-1': 0.2 } }] }
    const shares = sharesOf(placed([...zone('bj', 'bj-1', 4, 4), ...far, ...farther], locality, 0.3))
    expect(shares).to.have.all.keys('sh/sh-1')
  })

  it('ignores a distribution for other localities than ours', () => {
    const locality = { enabled: true, distribute: [{ from: 'sh/*', to: { 'sh/*': 1 } }] }
    expect(sharesOf(placed([...near, ...far], locality))['bj/bj-1']).to.be.closeTo(0.5, 0.5)
    expect(sharesOf(placed([...near, ...far], locality))).to.have.all.keys('bj/bj-1')
  })

  it('refuses when distribute names only localities without endpoints, and says so', () => {
    const locality = { enabled: true, distribute: [{ from: 'bj/*', to: { 'xx/*': 1 } }] }
    expect(pickRefusal(placed(near, locality)).reason).to.contain('4 in localities without a share')
  })

  it('keeps a hash key in its locality while the shares stay', () => {
    const locality = { enabled: true, distribute: [{ from: 'bj/*', to: { 'bj/*': 0.5, 'sh/*': 0.5 } }] }
    const hashed = cluster({
      endpoints: [...near, ...far],
      own,
      policy: { locality, loadBalancer: { kind: 'maglev', key: { from: 'source-address' }, tableSize: 1009 } },
    })
    const regions = new Set<string>()
    for (let hash = 0; hash < 200; hash++) {
      const first = pickState(hashed, { hash, hasHash: true })
      regions.add(first.endpoint.locality.region)
      expect(pickState(hashed, { hash, hasHash: true })).to.equal(first)
    }
    expect(regions.size).to.equal(2)
  })

  it('retries in another zone when the own zone has no untried endpoint left', () => {
    const small = placed([...near.slice(0, 1), ...sameRegion])
    const first = pickState(small)
    expect(pickState(small, { tried: [first] }).endpoint.locality.zone).to.equal('bj-2')
  })
})

describe('panic mode', () => {
  it('uses unhealthy endpoints too once fewer than the threshold are usable', () => {
    const calm = placed(zone('bj', 'bj-1', 10, 5))
    expect(countPicks(calm, 5000).size).to.equal(5)
    expect(calm.numbers.panic).to.equal(0)
    const panicking = placed(zone('bj', 'bj-1', 10, 6))
    expect(countPicks(panicking, 5000).size).to.equal(10)
    expect(panicking.numbers.panic).to.equal(1)
  })

  it('never uses disabled endpoints or those of weight 0', () => {
    const list = [
      endpoint('10.0.0.1', { healthy: false }),
      endpoint('10.0.0.2', { enabled: false }),
      endpoint('10.0.0.3', { weight: 0 }),
    ]
    expect(countPicks(placed(list), 500)).to.deep.equal(new Map([['10.0.0.1', 500]]))
  })

  it('refuses instead when the threshold is 0', () => {
    expect(pickRefusal(placed(zone('bj', 'bj-1', 3, 3), { enabled: true }, 0))).to.include({
      code: 'E_BALANCE_NO_ENDPOINT',
      flag: 'UH',
    })
  })

  it('does not send to a dead own zone while another zone has something alive', () => {
    const shares = sharesOf(placed([...zone('bj', 'bj-1', 10, 10), ...zone('sh', 'sh-1', 20, 11)]))
    expect(shares).to.have.all.keys('sh/sh-1')
  })

  it('stays near when everything everywhere is dead', () => {
    expect(sharesOf(placed([...zone('bj', 'bj-1', 4, 4), ...zone('sh', 'sh-1', 4, 4)]))).to.have.all.keys('bj/bj-1')
  })

  it('ends as soon as enough endpoints are usable', () => {
    const recovering = placed(zone('bj', 'bj-1', 10, 9))
    recovering.update(endpointSet(zone('bj', 'bj-1', 10, 2)), policyOf(recovering.policy), 0)
    expect(countPicks(recovering, 5000).size).to.equal(8)
    expect(recovering.numbers.panic).to.equal(0)
  })
})

describe('what the registry says', () => {
  it('is followed: disabled, weight 0 and unhealthy endpoints get nothing', () => {
    const list = [
      endpoint('10.0.0.1'),
      endpoint('10.0.0.2', { enabled: false }),
      endpoint('10.0.0.3', { weight: 0 }),
      endpoint('10.0.0.4', { healthy: false }),
    ]
    expect(countPicks(placed(list), 1000)).to.deep.equal(new Map([['10.0.0.1', 1000]]))
  })

  it('is doubted below the protect threshold: unhealthy endpoints are used too', () => {
    const list = zone('bj', 'bj-1', 10, 6)
    const doubted = cluster({ endpoints: endpointSet(list, { protectThreshold: 0.5 }), policy: { panicShare: 0 } })
    expect(countPicks(doubted, 5000).size).to.equal(10)
    const trusted = cluster({ endpoints: endpointSet(list, { protectThreshold: 0.4 }), policy: { panicShare: 0 } })
    expect(countPicks(trusted, 5000).size).to.equal(4)
  })

  it('is never trusted with arithmetic: hostile weights give no traffic or are cut', () => {
    const list = [NaN, -1, Infinity, 1e300].map((weight, index) => endpoint(`10.0.0.${index}`, { weight }))
    const counts = countPicks(cluster({ endpoints: list, policy: { loadBalancer: { kind: 'random' } } }), 10_000)
    expect([...counts.keys()].toSorted()).to.deep.equal(['10.0.0.2', '10.0.0.3'])
    expect(counts.get('10.0.0.2')).to.be.within(4500, 5500)
  })
})
