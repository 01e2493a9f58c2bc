import { expect } from 'chai'

import type { Upstream } from '../../../../../agent/worker/connect/upstream.ts'
import type { MeshView } from '../../../../../agent/worker/forward/mesh-view.ts'
import { Routing } from '../../../../../agent/worker/forward/routing.ts'
import type { Answer } from '../../../../../agent/worker/filters/answer.ts'
import type { VirtualHost } from '../../../../../agent/worker/route/types.ts'
import type { HttpRouteSpec } from '../../../../../contracts/route-spec.ts'
import { PlainRequest } from '../../../../support/plain-messages.ts'
import type { RequestParts } from '../../../../support/plain-messages.ts'
import { context, key, route, virtualHost } from '../../../../support/routing.ts'

const upstream = { kind: 'upstream' } as unknown as Upstream

/** Hosts by name; `null` is known to be nothing. */
function meshOf(hosts: Record<string, VirtualHost | null>, clusters: string[] = []) {
  const asked: string[] = []
  const mesh = {
    names: {
      host: (name: string) => hosts[name] ?? undefined,
      findName: (name: string) => hosts[name],
    },
    findAuthority: (authority: string) => hosts[authority],
    withoutPort: (authority: string) => authority.split(':')[0],
    upstream(clusterKey: string) {
      asked.push(clusterKey)
      return clusters.some((service) => clusterKey.startsWith(service)) ? upstream : undefined
    },
  } as unknown as MeshView
  return { asked, mesh }
}

const named = (name: string): RequestParts => ({ fields: [['x-mesh-service', name]] })

function resolve(routing: Routing, mesh: MeshView, parts: RequestParts = {}, listenerHost: string | null = null) {
  const request = new PlainRequest(parts)
  return routing.resolve(mesh, request, listenerHost, context(request))
}

describe('the routing of a request', () => {
  const host = virtualHost([route('a')])

  it('leads to the upstream of its route', () => {
    const { mesh } = meshOf({ orders: host }, [key('a')])
    const routing = new Routing()
    expect(resolve(routing, mesh)).to.equal(upstream)
    expect([routing.host, routing.route!.spec.name]).to.deep.equal([host, 'a'])
  })

  it('takes the name from x-mesh-service before Host, and the listener before both', () => {
    const other = virtualHost([route('other')])
    const mine = virtualHost([route('mine')])
    const { mesh } = meshOf({ orders: host, other, mine }, [key('a'), key('other'), key('mine')])
    const routeOf = (parts: RequestParts, listenerHost: string | null): string => {
      const routing = new Routing()
      resolve(routing, mesh, parts, listenerHost)
      return routing.route!.spec.name
    }
    expect(routeOf({}, null)).to.equal('a')
    expect(routeOf(named('other'), null)).to.equal('other')
    expect(routeOf(named('other'), 'mine')).to.equal('mine')
  })

  it('stops at a name that control has to be asked about, and goes on from there when it has answered', () => {
    const hosts: Record<string, VirtualHost | null> = {}
    const { mesh } = meshOf(hosts, [key('a')])
    const routing = new Routing()
    expect(resolve(routing, mesh, named('billing'))).to.deep.equal({ kind: 'ask', name: 'billing' })
    hosts['billing'] = host
    expect(resolve(routing, mesh, named('billing'))).to.equal(upstream)
  })

  it('stops at a name that is nothing, on a listener without its service too, and says which', () => {
    const { mesh } = meshOf({ nobody: null })
    const routing = new Routing()
    expect(resolve(routing, mesh, named('nobody'))).to.deep.equal({ kind: 'unknown' })
    expect(routing.unknownAnswer().body.toString()).to.include('nobody')
    routing.reset()
    expect(resolve(routing, mesh, {}, 'gone')).to.deep.equal({ kind: 'unknown' })
    expect(routing.unknownAnswer().code).to.equal('E_ROUTE_UNKNOWN_SERVICE')
  })

  it('stops where no route matches, and where the destination is not known here', () => {
    const { mesh } = meshOf({ orders: virtualHost([route('a', [{ uri: { prefix: '/a' } }])]) })
    expect(resolve(new Routing(), mesh, { path: '/b' })).to.include({
      kind: 'answer',
      status: 404,
      code: 'E_ROUTE_NONE',
    })
    const routing = new Routing()
    expect(resolve(routing, mesh, { path: '/a' })).to.deep.equal({ kind: 'unknown' })
    expect(routing.unknownAnswer().body.toString()).to.include(key('a'))
  })

  it('runs each filter once, also when one of them wants to wait', () => {
    const more: Partial<HttpRouteSpec> = {
      filters: [
        { kind: 'fault-delay', share: 1, fixedMs: 20 },
        { kind: 'fault-abort', share: 1, status: 418 },
      ],
    }
    const { asked, mesh } = meshOf({ orders: virtualHost([route('a', [], more)]) }, [key('a')])
    const routing = new Routing()
    expect(resolve(routing, mesh)).to.include({ kind: 'wait' })
    expect((resolve(routing, mesh) as Answer).status).to.equal(418)
    expect(asked, 'no destination before the filters are through').to.deep.equal([])
    expect(resolve(routing, mesh)).to.equal(upstream)
  })

  it('remembers nothing of the request before', () => {
    const { mesh } = meshOf({ orders: host }, [key('a')])
    const routing = new Routing()
    resolve(routing, mesh)
    routing.reset()
    expect([routing.host, routing.route, routing.destination]).to.deep.equal([null, null, null])
  })
})
