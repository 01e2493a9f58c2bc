import { expect } from 'chai'
import { cluster, endpoint, endpoints, pickRefusal, pickState } from '../../../../support/balance.ts'

const policy = { loadBalancer: { kind: 'passthrough' } } as const

describe('passthrough', () => {
  it('takes the address that the caller named', () => {
    const named = cluster({ endpoints: endpoints(5), policy })
    expect(pickState(named, { original: '10.0.0.3:80' }).address).to.equal('10.0.0.3')
  })

  it('takes it although the registry calls it unhealthy: nobody else could answer for it', () => {
    const named = cluster({ endpoints: [endpoint('10.0.0.1', { healthy: false }), endpoint('10.0.0.2')], policy })
    expect(pickState(named, { original: '10.0.0.1:80' }).address).to.equal('10.0.0.1')
  })

  it('refuses an address that is not an endpoint of the service', () => {
    const named = cluster({ endpoints: endpoints(5), policy })
    for (const original of ['10.0.0.3:81', '192.168.0.1:80', '', '__proto__']) {
      expect(pickRefusal(named, { original })).to.include({ code: 'E_BALANCE_NO_ENDPOINT', flag: 'UH' })
    }
    expect(named.numbers.picksWithoutEndpoint).to.equal(4)
  })

  it('refuses an endpoint that is disabled or has weight 0', () => {
    const named = cluster({
      endpoints: [endpoint('10.0.0.1', { enabled: false }), endpoint('10.0.0.2', { weight: 0 })],
      policy,
    })
    expect(pickRefusal(named, { original: '10.0.0.1:80' }).code).to.equal('E_BALANCE_NO_ENDPOINT')
    expect(pickRefusal(named, { original: '10.0.0.2:80' }).code).to.equal('E_BALANCE_NO_ENDPOINT')
  })
})
