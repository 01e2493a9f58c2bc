import { expect } from 'chai'
import { subnetSet } from '../../../../../contracts/subnet.ts'
import { matchTcpRoute } from '../../../../../agent/worker/route/tcp-route.ts'
import type { TcpMatchSpec, TcpRouteSpec } from '../../../../../contracts/route-spec.ts'
import { app, compiled, connection, hostSpec, key } from '../../../../support/routing.ts'

const tcp = (name: string, ...matches: TcpMatchSpec[]): TcpRouteSpec => ({
  name,
  origin: { kind: 'VirtualService', name: 'public/db', path: name },
  matches,
  destinations: [{ service: key(name), weight: 1 }],
})

describe('a TCP route', () => {
  const host = compiled(
    hostSpec([], {
      tcp: [
        tcp('port', { port: 1 }),
        tcp('source', { sourceSubnets: ['10.0.0.0/8', 'fd00::/8'] }),
        tcp('destination', { destinationSubnets: ['127.0.0.9'] }),
        tcp('label', { sourceLabels: { app: 'cart' } }),
        tcp('namespace', { sourceNamespace: 'prod' }),
        tcp('either', { port: 7 }, { port: 8, sourceLabels: { app: 'x' } }),
        tcp('nobody', { port: 999 }),
      ],
    }),
  )
  const found = (traits: Parameters<typeof connection>[0]): string | undefined =>
    matchTcpRoute(host, connection(traits))?.spec.name

  it('is the first that matches by port, networks and caller', () => {
    expect(found({ localPort: 1, sourceAddress: '10.1.1.1' })).to.equal('port')
    expect(found({ sourceAddress: '10.1.1.1' })).to.equal('source')
    expect(found({ sourceAddress: 'fd00::1' })).to.equal('source')
    expect(found({ localAddress: '127.0.0.9' })).to.equal('destination')
    expect(found({ source: app('cart') })).to.equal('label')
    expect(found({ source: app('x', {}, 'prod') })).to.equal('namespace')
    expect(found({ localPort: 7 })).to.equal('either')
  })

  it('needs all conditions of one match', () => {
    expect(found({ localPort: 8 })).to.equal(undefined)
    expect(found({ localPort: 8, source: app('x') })).to.equal('either')
  })

  it('goes by the server name: exact, below a suffix at any depth, or any', () => {
    const named = (...sniHosts: string[]) =>
      compiled(hostSpec([], { tcp: [tcp('named', { sniHosts }), tcp('rest', { port: 20_001 })] }))
    const take = (routes: ReturnType<typeof named>, serverName: string) =>
      matchTcpRoute(routes, connection({ serverName }))?.spec.name
    const some = named('a.example', '*.b.example')
    for (const name of ['a.example', 'x.b.example', 'x.y.b.example']) expect(take(some, name), name).to.equal('named')
    for (const name of ['', 'b.example', 'xb.example', 'x.a.example']) expect(take(some, name), name).to.equal('rest')
    expect([take(named('*'), 'c'), take(named('*'), '')]).to.deep.equal(['named', 'rest'])
    expect([some.asksServerName, host.asksServerName], 'only such a route makes a connection wait').to.deep.equal([
      true,
      false,
    ])
  })

  it('is none when nothing matches, and any without matches', () => {
    expect(found({})).to.equal(undefined)
    expect(matchTcpRoute(compiled(hostSpec([], { tcp: [tcp('all')] })), connection())!.spec.name).to.equal('all')
  })
})

describe('networks', () => {
  it('hold their addresses, IPv4 in IPv6 clothes too, and nothing else', () => {
    const set = subnetSet(['10.0.0.0/8', '192.168.1.7', '::1', 'nonsense', '1.2.3.4/99'])
    for (const address of ['10.255.0.1', '::ffff:10.0.0.1', '192.168.1.7', '::1'])
      expect(set.has(address), address).to.equal(true)
    for (const address of ['11.0.0.1', '192.168.1.8', '::2', '', 'x', '1.2.3.4'])
      expect(set.has(address), address).to.equal(false)
  })
})
