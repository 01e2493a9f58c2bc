import { expect } from 'chai'
import { GatewayTable } from '../../../../../agent/worker/route/gateway-table.ts'

const simple = { mode: 'simple', credential: 'a' } as const
const table = new GatewayTable([
  {
    names: ['a.example.com', '*.example.com'],
    protocol: 'http',
    tls: simple,
    hosts: { 'a.example.com': 'A', '*': 'any' },
  },
  { names: ['own.example.com'], protocol: 'tcp', tls: { mode: 'passthrough' }, virtualHost: 'own' },
  { names: ['*.deep.example.com'], protocol: 'http', tls: { mode: 'istio-mutual' }, hosts: { '*.com': 'com' } },
])

describe('the table of a gateway’s port', () => {
  it('finds the server by the exact name, else by the longest suffix', () => {
    expect(table.server('a.example.com')?.tls).to.equal(simple)
    expect(table.server('b.example.com')?.tls).to.equal(simple)
    expect(table.server('own.example.com')?.protocol).to.equal('tcp')
    expect(table.server('x.deep.example.com')?.tls?.mode).to.equal('istio-mutual')
    for (const name of ['', 'example.com', 'example.org', '.example.com'])
      expect(table.server(name), name).to.equal(undefined)
  })

  it('takes every name for *, also none', () => {
    const plain = new GatewayTable([{ names: ['*'], protocol: 'tcp', virtualHost: 'x' }])
    for (const name of ['', 'a', 'a.b']) expect(plain.server(name)?.names).to.deep.equal(['*'])
  })

  it('finds the virtual host by Host among those of the server alone', () => {
    expect(table.host('a.example.com', 'a.example.com:8443')).to.equal('A')
    expect(table.host('b.example.com', 'whatever')).to.equal('any')
    expect(table.host('x.deep.example.com', 'a.example.com')).to.equal('com')
    expect(table.host('x.deep.example.com', 'a.example.org')).to.equal(undefined)
    expect(table.host('own.example.com', 'own.example.com')).to.equal(undefined)
    expect(table.host('nobody', 'a.example.com')).to.equal(undefined)
  })
})
