import { expect } from 'chai'
import { WatchTable } from '../../../../../registry-adapters/nacos/face/watch-table.ts'
import type { Watched } from '../../../../../registry-adapters/nacos/face/watch-table.ts'

interface Entry extends Watched {
  readonly listeners: Set<string>
}

describe('what the face watches for its clients', () => {
  let now: number
  let subscribed: string[]
  let table: WatchTable<Entry>

  beforeEach(() => {
    now = 0
    subscribed = []
    table = new WatchTable({ limit: 'maxServices', most: 2, idleMs: 1000, now: () => now })
  })

  const take = (key: string): Entry =>
    table.take(
      key,
      (usedAt) => ({ listeners: new Set(), upstream: undefined, usedAt }),
      () => {
        subscribed.push(key)
        return { unsubscribe: () => void subscribed.splice(subscribed.indexOf(key), 1) }
      },
    )

  it('is subscribed once, however many clients ask', () => {
    expect(take('orders')).to.equal(take('orders'))
    expect(subscribed).to.deep.equal(['orders'])
  })

  it('is bounded: what is known goes on, new ones are refused by the name of the setting', () => {
    const orders = take('orders')
    take('stock')
    expect(() => take('users')).to.throw('maxServices')
    expect(take('orders')).to.equal(orders)
    expect(subscribed).to.deep.equal(['orders', 'stock'])
  })

  it('is let go when nobody listened for the idle time, and not before', () => {
    take('orders').listeners.add('one client')
    take('stock')
    now = 999
    table.sweep()
    expect(subscribed).to.deep.equal(['orders', 'stock'])
    now = 1000
    table.sweep()
    expect(subscribed).to.deep.equal(['orders'])
    expect(table.size).to.equal(1)
  })

  it('is not there when subscribing fails', () => {
    const failing = (): never => {
      throw new Error('no such source')
    }
    expect(() =>
      table.take('orders', (usedAt) => ({ listeners: new Set(), upstream: undefined, usedAt }), failing),
    ).to.throw()
    expect(table.size).to.equal(0)
  })

  it('ends with the face', () => {
    take('orders')
    table.close()
    expect([subscribed, table.size]).to.deep.equal([[], 0])
  })
})
