import { expect } from 'chai'
import { inboundKeyOf, servedService } from '../../../contracts/inbound-key.ts'

describe('the key of an application behind its inbound port', () => {
  for (const group of ['DEFAULT_GROUP', 'eu:shop'])
    for (const address of ['127.0.0.1', '::1', '2001:db8::7'])
      it(`names the service of ${group} at ${address} as its callers do`, () => {
        const service = { namespace: 'public', group, name: 'providers:com.shop.Orders:1.0:' }
        expect(servedService(inboundKeyOf(service, address, 8080))).to.deep.equal(service)
      })

  it('is told from keys of callers, and from what is none', () => {
    const service = { namespace: 'public', group: 'eu:shop', name: 'orders' }
    expect(servedService('public/eu:shop@@orders')).to.deep.equal(service)
    for (const text of ['$inbound/public', '$inbound/public:shop@@orders', 'a b'])
      expect(servedService(text)).to.equal(undefined)
  })
})
