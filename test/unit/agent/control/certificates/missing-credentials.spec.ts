import { expect } from 'chai'
import { missingCredentials } from '../../../../../agent/control/certificates/missing-credentials.ts'
import type { GatewayTlsSpec, ListenerSpec } from '../../../../../contracts/snapshot.ts'
import type { ClientCredential } from '../../../../../contracts/workload-certificate.ts'

describe('credentials that a gateway needs', () => {
  const port = (...servers: GatewayTlsSpec[]): ListenerSpec => ({
    kind: 'gateway',
    name: 'gateway 0.0.0.0:443',
    address: '0.0.0.0',
    port: 443,
    proxyProtocol: 'off',
    protocol: 'http',
    trustedProxies: 0,
    servers: servers.map((tls, at) => ({ names: [`${at}.example.com`], tls, protocol: 'http', hosts: {} })),
  })
  const missing = (credentials: ClientCredential[], ...servers: GatewayTlsSpec[]): string[] =>
    missingCredentials([port(...servers)], credentials).map((one) => /no (\S+) below/.exec(one)![1]!)
  const whole = { chain: 'c', key: 'k', roots: 'r' }

  it('are named where they are not there, each once', () => {
    const shop = { mode: 'simple', credential: 'shop' } as const
    expect(missing([], shop, shop)).to.deep.equal(['shop/tls.crt'])
    expect(missing([{ name: 'shop', roots: 'r' }], shop)).to.deep.equal(['shop/tls.crt'])
    expect(missing([{ name: 'shop', ...whole }], shop)).to.deep.equal([])
  })

  it('have roots where callers show a certificate', () => {
    const admin = { mode: 'mutual', credential: 'admin' } as const
    expect(missing([{ name: 'admin', chain: 'c', key: 'k' }], admin)).to.deep.equal(['admin/ca.crt'])
    expect(missing([{ name: 'admin', ...whole }], admin)).to.deep.equal([])
  })

  it('are none where TLS passes, or is that of the mesh', () => {
    expect(missing([], { mode: 'passthrough' }, { mode: 'istio-mutual' })).to.deep.equal([])
  })
})
