import { expect } from 'chai'
import { endpointId } from '../../../../../contracts/endpoint.ts'
import type { Endpoint } from '../../../../../contracts/endpoint.ts'
import { DoubtedLosses } from '../../../../../registry-adapters/nacos/naming/doubted-losses.ts'
import { readService } from '../../../../../registry-adapters/nacos/naming/read-service.ts'
import { wireInstance } from '../../../../support/nacos/stand-in/store.ts'

const orders = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }
const options = { rules: { allowLoopback: false, allowLinkLocal: false, isOwnPort: () => false }, clusters: [] }
const list = (...numbers: number[]): readonly Endpoint[] =>
  readService(
    { name: 'orders', groupName: 'DEFAULT_GROUP', hosts: numbers.map((at) => wireInstance({ ip: `10.0.0.${at}` })) },
    orders,
    options,
  ).endpoints
const ids = (endpoints: readonly Endpoint[]): string[] => endpoints.map(endpointId)

describe('losses that are doubted', () => {
  it('keeps what a list lacks and takes what is new, sorted', () => {
    const doubted = new DoubtedLosses()
    const { endpoints, missed, returned } = doubted.merge(list(1, 2, 5), list(1, 4, 5), 100, 1000)
    expect(ids(endpoints)).to.deep.equal(ids(list(1, 2, 4, 5)))
    expect({ missed, returned, size: doubted.size }).to.deep.equal({ missed: 1, returned: 0, size: 1 })
  })

  it('counts each endpoint as missed once, from the first list that lacked it', () => {
    const doubted = new DoubtedLosses()
    const { endpoints } = doubted.merge(list(1, 2, 3), list(1, 2), 100, 1000)
    expect(doubted.merge(endpoints, list(1), 200, 1000).missed).to.equal(1)
    expect(doubted.oldestSince).to.equal(100)
    expect([...doubted.conclude(150, [])]).to.deep.equal(ids(list(3)))
    expect(doubted.oldestSince).to.equal(200)
  })

  it('forgets one that is listed again', () => {
    const doubted = new DoubtedLosses()
    const { endpoints } = doubted.merge(list(1, 2), list(1), 100, 1000)
    expect(doubted.merge(endpoints, list(1, 2), 200, 1000)).to.include({ missed: 0, returned: 1 })
    expect(doubted.size).to.equal(0)
  })

  it('concludes nothing about one that the second list has', () => {
    const doubted = new DoubtedLosses()
    doubted.merge(list(1, 2, 3), list(1), 100, 1000)
    expect([...doubted.conclude(100, list(1, 3))]).to.deep.equal(ids(list(2)))
    expect(doubted.size).to.equal(1)
  })

  it('keeps no more than the bound of a list', () => {
    const doubted = new DoubtedLosses()
    const { endpoints, missed } = doubted.merge(list(1, 2, 3, 4), list(5, 6), 100, 3)
    expect(ids(endpoints)).to.deep.equal(ids(list(1, 5, 6)))
    expect(missed).to.equal(1)
    expect(doubted.size).to.equal(1)
  })
})
