import { expect } from 'chai'
import { WatchTable } from '../../../../../registry-adapters/nacos/face/watch-table.ts'
import type { Watched } from '../../../../../registry-adapters/nacos/face/watch-table.ts'
import type { Holder } from '../../../../../guard/caller.ts'

const [alice, bob] = ['user 1', 'user 2']

describe('what the face watches for its clients', () => {
  let now: number
  let subscribed: string[]
  let table: WatchTable<Watched>

  beforeEach(() => {
    now = 0
    subscribed = []
    table = new WatchTable({ limit: 'maxServices', most: 3, mostPerUser: 2, idleMs: 1000, now: () => now })
  })

  const take = (key: string, user: string = alice): Watched => takeAs(user, key)
  const takeAs = (holder: Holder, key: string): Watched =>
    table.take(
      key,
      holder,
      () => ({ upstream: undefined }),
      () => {
        subscribed.push(key)
        return { unsubscribe: () => void subscribed.splice(subscribed.indexOf(key), 1) }
      },
    )

  it('is subscribed once, however many clients ask', () => {
    expect(take('orders')).to.equal(take('orders', bob))
    expect(subscribed).to.deep.equal(['orders'])
  })

  it('is bounded in all: what is known goes on, new ones are refused by the name of the setting', () => {
    const orders = takeAs(undefined, 'orders')
    for (const key of ['stock', 'users']) takeAs(undefined, key)
    expect(() => takeAs(undefined, 'bills')).to.throw('maxServices: 4')
    expect(takeAs(undefined, 'orders')).to.equal(orders)
    expect(subscribed).to.deep.equal(['orders', 'stock', 'users'])
  })

  it('is bounded for each user, by what it asked for itself; others have their own share', () => {
    take('orders')
    take('stock')
    expect(() => take('users')).to.throw('maxServicesPerUser: 3 asked for, 2 allowed')
    take('users', bob)
    expect(() => take('users'), 'also what somebody else has').to.throw('maxServicesPerUser')
    take('stock')
    expect(table.size).to.equal(3)
  })

  it('gives a share back when nobody asked or listened for the idle time, and not before', () => {
    take('orders')
    const rest = table.listen('orders', alice)
    take('stock')
    now = 999
    table.sweep()
    expect(subscribed).to.deep.equal(['orders', 'stock'])
    now = 1000
    table.sweep()
    expect(subscribed).to.deep.equal(['orders'])
    take('users')
    expect(() => take('bills')).to.throw('maxServicesPerUser')
    rest()
    now = 1999
    table.sweep()
    expect(subscribed).to.deep.equal(['orders', 'users'])
    now = 3000
    table.sweep()
    expect([subscribed, table.size]).to.deep.equal([[], 0])
    take('orders')
    take('stock')
  })

  it('stays for one user when another lets it go', () => {
    take('orders')
    take('orders', bob)
    now = 600
    take('orders', bob)
    now = 1200
    table.sweep()
    expect(subscribed).to.deep.equal(['orders'])
    take('stock')
    take('users')
    expect(() => take('orders'), 'the share of the first is used up by others').to.throw('maxServicesPerUser')
  })

  it('is not there when subscribing fails, and counts for nobody', () => {
    const failing = (): never => {
      throw new Error('no such source')
    }
    for (let i = 0; i < 3; i++)
      expect(() => table.take('orders', alice, () => ({ upstream: undefined }), failing)).to.throw('no such source')
    expect(table.size).to.equal(0)
  })

  it('ends with the face', () => {
    take('orders')
    table.close()
    expect([subscribed, table.size]).to.deep.equal([[], 0])
  })
})
