import { expect } from 'chai'
import { entrySet } from '../../../../../../agent/control/core/rules/service-entry.ts'
import { key, resource, rules } from '../../../../../support/routing.ts'

const api = key('api.example.com')

describe('a ServiceEntry', () => {
  it('speaks HTTP/2 where the protocol or the name of a port says so, and not beside HTTP/1.1', () => {
    const declared = (ports: string) =>
      rules(resource('ServiceEntry', `hosts: [api.example.com]\nports: [${ports}]\nresolution: DNS`)).declaredService(
        api,
      )!
    const words: [string, string][] = [
      ['{ number: 1, name: a, protocol: GRPC }', 'grpc'],
      ['{ number: 1, name: a, protocol: HTTP2 }', 'http2'],
      ['{ number: 1, name: grpc }', 'grpc'],
      ['{ number: 1, name: grpc-orders }', 'grpc'],
      ['{ number: 1, name: http2-orders }', 'http2'],
      ['{ number: 1, name: grpc-web-ui }', 'grpc'],
      ['{ number: 1, name: grpcorders }', 'tcp'],
      ['{ number: 1, name: grpc-orders, protocol: TCP }', 'tcp'],
      ['{ number: 1, name: http }, { number: 2, name: grpc }', 'http'],
    ]
    for (const [ports, protocol] of words) expect(declared(ports).protocol, ports).to.equal(protocol)
    expect(declared('{ number: 1, name: http }, { number: 2, name: grpc }').ports[1]!.protocol).to.equal('tcp')
  })

  it('declares a service with static endpoints: ports by name, labels, locality, weight', () => {
    const service = rules(
      resource(
        'ServiceEntry',
        `
hosts: [api.example.com]
location: MESH_EXTERNAL
ports: [{ number: 80, name: http, protocol: HTTP, targetPort: 8080 }]
resolution: STATIC
endpoints:
- { address: 10.0.0.2, labels: { version: v2 }, locality: bj/bj-1, weight: 3 }
- { address: 10.0.0.1, ports: { http: 9090 } }`,
      ),
    ).declaredService(api)!
    expect(service).to.include({ key: api, protocol: 'http', resolution: 'static' })
    expect(service.origin).to.deep.equal({ kind: 'ServiceEntry', name: 'public/orders', path: 'spec' })
    const set = entrySet(service, new Map(), 7, 1000)
    expect(set).to.include({ service: api, version: 7, registry: 'rules', protectThreshold: 0, confirmedAt: 1000 })
    expect(set.endpoints).to.deep.equal([
      {
        address: '10.0.0.1',
        port: 9090,
        weight: 1,
        healthy: true,
        enabled: true,
        ephemeral: false,
        cluster: '',
        locality: { region: '', zone: '' },
        version: '',
        metadata: { 'hostmesh.service-ports': '80' },
      },
      {
        address: '10.0.0.2',
        port: 8080,
        weight: 3,
        healthy: true,
        enabled: true,
        ephemeral: false,
        cluster: '',
        locality: { region: 'bj', zone: 'bj-1' },
        version: 'v2',
        metadata: { version: 'v2', 'hostmesh.service-ports': '80' },
      },
    ])
  })

  it('declares a service whose names are resolved: its host, or the endpoints', () => {
    const store = rules(
      [
        resource(
          'ServiceEntry',
          'hosts: [api.example.com]\nports: [{ number: 443, name: tls, protocol: TLS }]\nresolution: DNS',
          'a',
        ),
        resource(
          'ServiceEntry',
          'hosts: [db]\nports: [{ number: 5432, name: tcp }]\nresolution: DNS_ROUND_ROBIN\nendpoints: [{ address: db-1.internal }, { address: db-2.internal }]',
          'b',
        ),
      ].join('---\n'),
    )
    const one = store.declaredService(api)!
    expect(one).to.include({ protocol: 'tcp', resolution: 'dns' })
    expect(one.endpoints.map((endpoint) => endpoint.host)).to.deep.equal(['api.example.com'])
    const db = store.declaredService(key('db'))!
    const addresses = new Map([
      ['db-1.internal', ['10.0.0.1', '10.0.0.2', 'nonsense']],
      ['db-2.internal', ['10.0.0.2', '::1']],
    ])
    expect(entrySet(db, addresses, 1, 0).endpoints.map(({ address, port }) => `${address} ${port}`)).to.deep.equal([
      '10.0.0.1 5432',
      '10.0.0.2 5432',
      '::1 5432',
    ])
    expect(entrySet(db, new Map(), 1, 0).endpoints, 'nothing resolved yet').to.deep.equal([])
  })

  it('with a wildcard host declares every name below it', () => {
    const store = rules(
      resource(
        'ServiceEntry',
        'hosts: ["*.example.com"]\nports: [{ number: 80, name: http, protocol: HTTP }]\nresolution: STATIC\nendpoints: [{ address: 10.0.0.1 }]',
      ),
    )
    expect(store.resolveName('x.example.com')).to.equal(key('*.example.com'))
    expect(store.declaredService(key('*.example.com'))!.endpoints).to.have.length(1)
    expect(store.declaredService(key('x.example.com'))!.key).to.equal(key('x.example.com'))
  })

  it('is known by name, so that nobody has to ask a registry', () => {
    const store = rules(
      resource(
        'ServiceEntry',
        'hosts: [api.example.com]\nports: [{ number: 80, name: http, protocol: HTTP }]\nresolution: DNS',
      ),
    )
    expect(store.declaredKeys()).to.deep.equal([api])
    expect(store.virtualHost(api)).to.deep.include({ isDeclared: true, services: [api] })
    expect(store.virtualHost(api).spec.domains).to.deep.equal(['api.example.com'])
    expect(store.declaredService(key('other'))).to.equal(undefined)
  })
})
