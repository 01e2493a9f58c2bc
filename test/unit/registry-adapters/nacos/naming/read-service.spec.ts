import { expect } from 'chai'
import { endpointId } from '../../../../../contracts/endpoint.ts'
import { MeshError } from '../../../../../contracts/errors.ts'
import type { EndpointRules } from '../../../../../registry-adapters/nacos/index.ts'
import { readService, sameEndpoints } from '../../../../../registry-adapters/nacos/naming/read-service.ts'
import { wireInstance } from '../../../../support/nacos/stand-in/store.ts'

const orders = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }
const rules: EndpointRules = {
  allowLoopback: false,
  allowLinkLocal: false,
  isOwnPort: (_address, port) => port === 21_000,
}

function read(hosts: unknown, more: { clusters?: string[]; rules?: EndpointRules; info?: object } = {}) {
  const info = { name: 'orders', groupName: 'DEFAULT_GROUP', hosts, lastRefTime: 5, ...more.info }
  return readService(info, orders, { rules: more.rules ?? rules, clusters: more.clusters ?? [] })
}

describe('reading a service from Nacos', () => {
  it('takes what a server says about an instance', () => {
    const view = read([
      wireInstance({
        ip: '10.0.0.2',
        port: 81,
        weight: 0,
        healthy: false,
        enabled: false,
        ephemeral: false,
        clusterName: 'BJ',
        metadata: { version: 'v2', zone: 'z', region: 'r' },
      }),
      wireInstance({ ip: '10.0.0.1' }),
    ])
    expect(view.endpoints.map(endpointId)).to.deep.equal(['10.0.0.1:80', '10.0.0.2:81'])
    expect(view.endpoints[1]).to.deep.equal({
      address: '10.0.0.2',
      port: 81,
      weight: 0,
      healthy: false,
      enabled: false,
      ephemeral: false,
      cluster: 'BJ',
      locality: { region: 'r', zone: 'z' },
      version: 'v2',
      metadata: { version: 'v2', zone: 'z', region: 'r' },
    })
  })

  it("takes the cluster as the zone where no zone is told, because it is Nacos's word for a place", () => {
    const zones = read([
      wireInstance({ ip: '10.0.0.1', clusterName: 'BJ' }),
      wireInstance({ ip: '10.0.0.2', clusterName: 'BJ', metadata: { zone: 'z' } }),
      wireInstance({ ip: '10.0.0.3', clusterName: 'DEFAULT' }),
    ]).endpoints.map(({ locality }) => locality.zone)
    expect(zones).to.deep.equal(['BJ', 'z', ''])
  })

  it('refuses hostile instances one by one, with the reason, and keeps the others', () => {
    const bad: [string, unknown][] = [
      ['shape', null],
      ['shape', 'text'],
      ['shape', { ...wireInstance({}), ip: 7 }],
      ['port', wireInstance({ port: 0 })],
      ['port', wireInstance({ port: 65_536 })],
      ['port', wireInstance({ port: 80.5 })],
      ['port', { ...wireInstance({}), port: '80' }],
      ['weight', wireInstance({ weight: -1 })],
      ['weight', { ...wireInstance({}), weight: 'NaN' }],
      ['cluster', { ...wireInstance({}), clusterName: {} }],
      ['address', wireInstance({ ip: 'db.example' })],
      ['address', wireInstance({ ip: '10.0.0.1; rm -rf' })],
      ['address', wireInstance({ ip: '0.0.0.0' })],
      ['address', wireInstance({ ip: '255.255.255.255' })],
      ['address', wireInstance({ ip: '224.0.0.1' })],
      ['address', wireInstance({ ip: 'fe80::1%eth0' })],
      ['loopback', wireInstance({ ip: '127.0.0.1' })],
      ['loopback', wireInstance({ ip: '::1' })],
      ['loopback', wireInstance({ ip: '::ffff:127.0.0.1' })],
      ['loopback', wireInstance({ ip: '[::1]' })],
      ['link-local', wireInstance({ ip: '169.254.169.254' })],
      ['link-local', wireInstance({ ip: 'fe80::1' })],
      ['own-port', wireInstance({ port: 21_000 })],
    ]
    for (const [reason, host] of bad) {
      const view = read([host, wireInstance({ ip: '10.9.9.9' })])
      expect(view.endpoints.map(endpointId), JSON.stringify(host)).to.deep.equal(['10.9.9.9:80'])
      expect([...view.refused], JSON.stringify(host)).to.deep.equal([[reason, 1]])
    }
  })

  it('takes loopback where it is allowed, and cuts a weight that is too large', () => {
    const view = read([wireInstance({ ip: '127.0.0.1', weight: 1e9 })], { rules: { ...rules, allowLoopback: true } })
    expect(view.endpoints[0]).to.include({ address: '127.0.0.1', weight: 10_000 })
  })

  it('keeps one of two instances with the same address, the usable one', () => {
    const view = read([
      wireInstance({ clusterName: 'A', healthy: false }),
      wireInstance({ clusterName: 'B' }),
      wireInstance({ clusterName: 'C', enabled: false }),
    ])
    expect(view.endpoints.map(({ cluster }) => cluster)).to.deep.equal(['B'])
    expect(view.refused.get('duplicate')).to.equal(2)
  })

  it('knows one IPv6 address in two spellings', () => {
    const view = read([wireInstance({ ip: '2001:db8::1' }), wireInstance({ ip: '2001:0DB8:0:0:0:0:0:1' })])
    expect(view.endpoints.map(endpointId)).to.deep.equal(['[2001:db8::1]:80'])
  })

  it('filters clusters itself', () => {
    const hosts = [
      wireInstance({ ip: '10.0.0.1', clusterName: 'BJ' }),
      wireInstance({ ip: '10.0.0.2', clusterName: 'SH' }),
    ]
    expect(read(hosts, { clusters: ['SH'] }).endpoints.map(({ address }) => address)).to.deep.equal(['10.0.0.2'])
  })

  it('bounds metadata, keeps our own words first, and turns values into text', () => {
    const flood = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`k${index}`, 'v']))
    const view = read([wireInstance({ metadata: { ...flood, 'hostmesh.mtls': 'strict', version: 'v1' } })])
    const metadata = view.endpoints[0]!.metadata
    expect(Object.keys(metadata)).to.have.length(64)
    expect(metadata).to.include({ 'hostmesh.mtls': 'strict', version: 'v1' })
    expect(view.refused.get('metadata')).to.equal(1)
    const odd = { a: 1, b: true, c: null, d: { e: 1 }, f: 'x'.repeat(20_000) } as unknown as Record<string, string>
    expect(read([wireInstance({ metadata: odd })]).endpoints[0]!.metadata).to.deep.equal({ a: '1', b: 'true' })
  })

  it('cuts off instances beyond the bound, by address', () => {
    const hosts = Array.from({ length: 30 }, (_, index) => wireInstance({ ip: `10.0.0.${index + 1}` }))
    const view = read(hosts, { rules: { ...rules, maxEndpoints: 10 } })
    expect(view.endpoints).to.have.length(10)
    expect(view.refused.get('too-many')).to.equal(20)
  })

  it('looks at no more of a million instances than twice the bound, and counts the rest', () => {
    let looks = 0
    const host = new Proxy(wireInstance({ ip: '10.0.0.1' }), {
      get: (target, key) => {
        if (key === 'ip') looks++
        return Reflect.get(target, key) as unknown
      },
    })
    const view = read(
      Array.from({ length: 1_000_000 }, () => host),
      { rules: { ...rules, maxEndpoints: 10 } },
    )
    expect(looks).to.be.at.most(100)
    expect(view.endpoints).to.have.length(1)
    expect(view.refused.get('too-many')).to.equal(999_980)
  })

  it('ignores unknown fields and takes missing ones as defaults', () => {
    const view = read([{ ip: '10.0.0.1', port: 80, future: { x: 1 } }], { info: { somethingNew: [] } })
    expect(view.endpoints[0]).to.deep.include({
      weight: 1,
      healthy: true,
      enabled: true,
      ephemeral: true,
      cluster: 'DEFAULT',
      metadata: {},
    })
  })

  it('refuses a view of another service, or none at all', () => {
    for (const info of [{ name: 'billing' }, { groupName: 'OTHER' }, { name: 7 }, { hosts: 'x' }, { hosts: null }])
      expect(() => read([], { info }))
        .to.throw(MeshError)
        .with.property('code', 'E_REGISTRY_PROTOCOL')
    for (const info of [undefined, null, 'x', []])
      expect(() => readService(info, orders, { rules, clusters: [] })).to.throw(MeshError)
    expect(read([], { info: { name: 'DEFAULT_GROUP@@orders' } }).endpoints).to.deep.equal([])
  })

  it('sees every difference between two lists', () => {
    const base = wireInstance({ metadata: { a: '1' } })
    const of = (change: object) => read([{ ...base, ...change }]).endpoints
    expect(sameEndpoints(of({}), of({}))).to.equal(true)
    for (const change of [
      { weight: 2 },
      { healthy: false },
      { enabled: false },
      { port: 81 },
      { clusterName: 'X' },
      { metadata: { a: '2' } },
      { metadata: { a: '1', b: '' } },
      { ephemeral: false },
    ])
      expect(sameEndpoints(of({}), of(change)), JSON.stringify(change)).to.equal(false)
  })
})
