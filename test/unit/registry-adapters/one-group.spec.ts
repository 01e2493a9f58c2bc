import { expect } from 'chai'
import { OneGroup } from '../../../registry-adapters/one-group.ts'

describe('a registry with one namespace and group', () => {
  const naming = new OneGroup({ name: 'main', namespace: 'public', group: 'DEFAULT_GROUP' })

  it('has services of both, and of no other', () => {
    expect(naming.has({ namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' })).to.equal(true)
    expect(naming.has({ namespace: 'test', group: 'DEFAULT_GROUP', name: 'orders' })).to.equal(false)
    expect(naming.has({ namespace: 'public', group: 'OTHER', name: 'orders' })).to.equal(false)
  })

  it('says where an application belongs that cannot be registered there', () => {
    naming.check({ namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' })
    expect(() => naming.check({ namespace: 'public', group: 'OTHER', name: 'orders' })).to.throw(
      /OTHER.*orders: registry main has one namespace and group, public\/DEFAULT_GROUP/,
    )
  })

  it('lists names in order, no more than asked for, without those that no service can have', () => {
    const first = naming.keyOf('a')
    expect(naming.keys(['c', 'b', 'a', ''], 2)).to.deep.equal([first, naming.keyOf('b')])
  })
})
