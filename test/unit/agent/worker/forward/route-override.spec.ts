import { expect } from 'chai'
import type { Upstream } from '../../../../../agent/worker/connect/upstream.ts'
import type { MeshView } from '../../../../../agent/worker/forward/mesh-view.ts'
import { Routing } from '../../../../../agent/worker/forward/routing.ts'
import type { Answer } from '../../../../../agent/worker/filters/answer.ts'
import type { VirtualHost } from '../../../../../agent/worker/route/types.ts'
import type { AuthorizationSpec } from '../../../../../contracts/authorization-spec.ts'
import { PlainRequest } from '../../../../support/plain-messages.ts'
import { compiled, context, hostSpec, key, orders, route } from '../../../../support/routing.ts'

const canary = key('orders-canary')
const origin = { kind: 'MeshPolicy', name: 'public/trials', path: 'spec.routeOverrides' }
const overrides = {
  callers: ['cart'],
  services: { orders, 'orders-canary': canary },
  origin,
}

function world({
  canaryHost,
  called = hostSpec([route('orders')], { name: orders, overrides }),
}: {
  canaryHost?: VirtualHost | null
  called?: ReturnType<typeof hostSpec>
}) {
  const hosts: Record<string, VirtualHost | null | undefined> = { orders: compiled(called), [canary]: canaryHost }
  const asked: string[] = []
  const mesh = {
    names: { host: (name: string) => hosts[name] ?? undefined, findName: (name: string) => hosts[name] },
    findAuthority: (authority: string) => hosts[authority],
    upstream(clusterKey: string) {
      asked.push(clusterKey)
      return clusterKey.includes('|gone|') ? undefined : ({ kind: 'upstream' } as Upstream)
    },
  } as unknown as MeshView
  const routing = new Routing()
  const counted: string[] = []
  const notes: string[] = []
  const resolve = (text: string, caller = 'cart') => {
    const request = new PlainRequest({ fields: [['x-mesh-route', text]] })
    return routing.resolve(mesh, request, null, {
      ...context(request),
      caller,
      note: (note) => notes.push(note),
      countOverride: (kind) => counted.push(kind),
    })
  }
  return { asked, counted, hosts, notes, resolve, routing }
}

const canaryHost = compiled(hostSpec([route('canary')], { name: canary }))

describe('the routing of a request with x-mesh-route', () => {
  it('is that of the other service, counted and told, and the field goes on with the call', () => {
    const { asked, counted, notes, resolve, routing } = world({ canaryHost })
    expect(resolve('orders=orders-canary, stock=;v3')).to.include({ kind: 'upstream' })
    expect(routing.host).to.equal(canaryHost)
    expect(asked).to.deep.equal([`${key('canary')}||`])
    expect(counted).to.deep.equal(['followed'])
    expect(notes).to.deep.equal([`x-mesh-route[${orders}=${canary}]`])
    expect(routing.requestEdits!.fields).to.deep.equal([['x-mesh-route', 'orders=orders-canary, stock=;v3']])
  })

  it('leads to a subset with the other settings of the route', () => {
    const edits = { set: [['x-rule', 'here']], add: [], remove: [] } as const
    const called = hostSpec([route('orders', [], { timeoutMs: 700, requestHeaders: edits })], {
      name: orders,
      overrides,
    })
    const { asked, resolve, routing } = world({ called })
    resolve('orders=;v2')
    expect(asked).to.deep.equal([`${orders}|v2|`])
    expect(routing.route!.spec.timeoutMs).to.equal(700)
    expect(routing.route!.requestEdits!.fields).to.deep.equal([['x-rule', 'here']])
  })

  it('is refused at a subset that no rule defines, not served by another one', () => {
    const { resolve, routing } = world({})
    expect(resolve('orders=;gone')).to.deep.equal({ kind: 'unknown' })
    expect(routing.unknownAnswer().body.toString()).to.include('no rule defines subset gone')
  })

  it('is left as it was for a caller that may not, without the field', () => {
    const { asked, counted, notes, resolve, routing } = world({ canaryHost })
    resolve('orders=orders-canary', 'stranger')
    expect(asked).to.deep.equal([`${orders}||`])
    expect([counted, notes, routing.requestEdits]).to.deep.equal([['ignored'], ['x-mesh-route-ignored'], null])
  })

  it('is left as it was where no policy speaks of it', () => {
    const { asked, counted, resolve, routing } = world({
      called: hostSpec([route('orders')], { name: orders }),
      canaryHost,
    })
    resolve('orders=orders-canary')
    expect([asked, counted, routing.requestEdits]).to.deep.equal([[`${orders}||`], [], null])
  })

  it('answers 400 to what cannot be read, in the name of the called service', () => {
    const { counted, resolve, routing } = world({ canaryHost })
    expect(resolve('orders=payments') as Answer).to.include({ status: 400, code: 'E_ROUTE_OVERRIDE_REFUSED' })
    expect(counted).to.deep.equal(['refused'])
    expect(routing.host!.name).to.equal(orders)
  })

  it('asks for a service of which the worker knows nothing yet, once, and says so where there is none', () => {
    const { asked, counted, hosts, resolve, routing } = world({})
    expect(resolve('orders=orders-canary')).to.deep.equal({ kind: 'ask', name: canary })
    expect(counted).to.deep.equal([])
    hosts[canary] = null
    expect(resolve('orders=orders-canary')).to.deep.equal({ kind: 'unknown' })
    expect(routing.unknownAnswer().body.toString()).to.include(canary)
    expect(asked).to.deep.equal([])
  })

  it('goes no further from there: entries make no circle', () => {
    const other = compiled(hostSpec([route('canary')], { name: canary, overrides }))
    const { resolve, routing } = world({ canaryHost: other })
    resolve('orders=orders-canary, orders-canary=orders')
    expect(routing.host).to.equal(other)
  })

  it('is judged by the policies of the service to which it leads', () => {
    const authorization: AuthorizationSpec = {
      trustDomain: 'cluster.local',
      policies: [{ namespace: 'public', name: 'nobody', action: 'DENY', rules: [{}] }],
    }
    const guarded = compiled(
      hostSpec([route('canary', [], { filters: [{ kind: 'authorization' }] })], {
        name: canary,
        authorization,
      }),
    )
    const { asked, resolve } = world({ canaryHost: guarded })
    expect(resolve('orders=orders-canary') as Answer).to.include({ status: 403, code: 'E_AUTHORIZATION_DENIED' })
    expect(asked).to.deep.equal([])
  })

  it('leaves nothing to the next request', () => {
    const { asked, resolve, routing } = world({ canaryHost })
    resolve('orders=;v2')
    routing.reset()
    resolve('stock=;v2')
    expect(asked).to.deep.equal([`${orders}|v2|`, `${orders}||`])
    expect(routing.isOverridden).to.equal(false)
  })
})
