import { expect } from 'chai'
import { identityOf } from '../../../../../../agent/control/host/identities/account.ts'

describe('the name of an application', () => {
  const service = (name: string) => ({ namespace: 'public', group: 'DEFAULT_GROUP', name })
  const named = (name: string, identity?: { namespace?: string; account?: string }) =>
    identityOf({ service: service(name), identity }, 'default', 'mesh.test')

  it('is its service in the namespace of the host, or what its file says', () => {
    expect(named('orders')).to.equal('spiffe://mesh.test/ns/default/sa/orders')
    expect(named('orders', { namespace: 'shop' })).to.equal('spiffe://mesh.test/ns/shop/sa/orders')
    expect(named('orders', { account: 'web' })).to.equal('spiffe://mesh.test/ns/default/sa/web')
  })

  it('is none where the service cannot stand in a certificate, until an account is written down', () => {
    expect(named('com.example:Orders:1.0')).to.equal(undefined)
    expect(named('..')).to.equal(undefined)
    expect(named('com.example:Orders:1.0', { account: 'orders' })).to.equal('spiffe://mesh.test/ns/default/sa/orders')
  })
})
