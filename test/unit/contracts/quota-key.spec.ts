import { expect } from 'chai'
import { quotaKey } from '../../../contracts/quota-key.ts'

describe('connections of an address', () => {
  it('are counted by the address of a host, of IPv6 by its network', () => {
    expect(quotaKey('10.0.0.7')).to.equal('10.0.0.7')
    expect(quotaKey('2001:db8::1')).to.equal(quotaKey('2001:db8:0:0:ffff::2'))
    expect(quotaKey('2001:db8::1')).to.not.equal(quotaKey('2001:db8:0:1::1'))
    expect(quotaKey('::ffff:10.0.0.7')).to.not.equal(quotaKey('::ffff:10.0.0.8'))
  })
})
