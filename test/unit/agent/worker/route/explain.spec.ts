import { expect } from 'chai'
import { createCluster } from '../../../../../agent/worker/balance/cluster.ts'
import { seededRandom } from '../../../../support/seeded-random.ts'
import { explainPolicy, explainRequest, httpSteps } from '../../../../../agent/worker/route/explain.ts'
import type { DestinationFacts } from '../../../../../agent/worker/route/explain.ts'
import { askedRequest } from '../../../../../agent/worker/protocols/http1/asked-request.ts'
import { NameTable } from '../../../../../agent/worker/route/name-table.ts'
import type { Destination, VirtualHost } from '../../../../../agent/worker/route/types.ts'
import { matchRoute } from '../../../../../agent/worker/route/virtual-host.ts'
import type { ExplainRequest } from '../../../../../contracts/control-link.ts'
import { defaultTrafficPolicy } from '../../../../../contracts/policy-spec.ts'
import type { HttpMatchSpec } from '../../../../../contracts/route-spec.ts'
import { defaultLimits } from '../../../../../contracts/snapshot.ts'
import type { ListenerSpec } from '../../../../../contracts/snapshot.ts'
import { endpoint, endpointSet } from '../../../../support/balance.ts'
import {
  app,
  compiled,
  connection,
  hostSpec,
  key,
  orders,
  request,
  route,
  rules,
  virtualHost,
  context as filterContext,
} from '../../../../support/routing.ts'

const listeners: ListenerSpec[] = [
  { kind: 'shared-http', name: 'outbound-http', address: '127.0.0.1', port: 15_001, proxyProtocol: 'off' },
  {
    kind: 'service',
    name: 'outbound-orders',
    address: '127.0.0.1',
    port: 20_001,
    proxyProtocol: 'off',
    protocol: 'http',
    service: orders,
    virtualHost: orders,
  },
  {
    kind: 'service',
    name: 'outbound-ledger',
    address: '127.0.0.1',
    port: 20_002,
    proxyProtocol: 'off',
    protocol: 'tcp',
    service: key('ledger'),
    virtualHost: key('ledger'),
  },
]

function explain(
  hosts: readonly VirtualHost[],
  { headers = {}, ...asked }: Partial<Omit<ExplainRequest, 'headers'>> & { headers?: Record<string, string> } = {},
  facts?: (one: Destination) => DestinationFacts,
) {
  const names = new NameTable()
  for (const host of hosts) names.setHost(host.name, host)
  names.setAnswer('nobody', null)
  return explainRequest(
    {
      listener: undefined,
      method: 'GET',
      path: '/',
      host: 'orders',
      headers: Object.entries(headers),
      sourceApp: undefined,
      ...asked,
    },
    {
      listeners,
      names,
      read: (one, by) => askedRequest(one, by, defaultLimits),
      sourceApps: [app('cart', { tier: 'web' })],
      destination: (one) => facts?.(one),
    },
  )
}

describe('explain', () => {
  const host = virtualHost([
    route('admin', [{ name: 'path', uri: { prefix: '/admin' } }, { headers: { 'x-admin': { present: true } } }]),
    route('web', [{ sourceLabels: { tier: 'web' } }]),
    route('rest'),
  ])

  it('says which rule decides and why each earlier one does not', () => {
    const answer = explain([host], { path: '/shop?x=1' })
    expect(answer).to.include({ listener: 'outbound-http', name: 'orders', virtualHost: orders })
    expect(answer.steps).to.deep.equal([
      {
        rule: 'admin',
        origin: 'VirtualService public/test spec.http.admin',
        matched: false,
        reason: 'path: path is "/shop", wanted prefix "/admin"; match[1]: header x-admin is absent, wanted to be there',
      },
      {
        rule: 'web',
        origin: 'VirtualService public/test spec.http.web',
        matched: false,
        reason: 'match[0]: the calling application is not known, wanted label tier=web',
      },
      {
        rule: 'rest',
        origin: 'VirtualService public/test spec.http.rest',
        matched: true,
        reason: 'takes every request',
      },
    ])
    expect(answer.outcome).to.equal('rest of VirtualService public/test spec.http.rest: forwards')
  })

  it('stops at the rule that decides and says by which match', () => {
    const answer = explain([host], { headers: { 'x-admin': '1' } })
    expect(answer.steps.map(({ rule, matched, reason }) => [rule, matched, reason])).to.deep.equal([
      ['admin', true, 'match[1] holds'],
    ])
  })

  it('knows the labels of the calling application', () => {
    expect(explain([host], { sourceApp: 'cart' }).steps.at(-1)).to.include({ rule: 'web', matched: true })
    expect(explain([host], { sourceApp: 'unknown' }).steps.at(-1)).to.include({ rule: 'rest' })
  })

  it('finds the listener by name or port', () => {
    for (const listener of ['outbound-orders', '20001']) {
      expect(explain([host], { listener, host: 'whatever' })).to.include({
        listener: 'outbound-orders',
        virtualHost: orders,
      })
    }
    expect(explain([host], { listener: '1' }).outcome).to.equal(
      'no such listener; there are: outbound-http (15001), outbound-orders (20001), outbound-ledger (20002)',
    )
  })

  it('follows x-mesh-service before Host, and says what is wrong with a name', () => {
    const named = (headers: Record<string, string>, hostName = 'x') => explain([host], { host: hostName, headers })
    expect(named({ 'x-mesh-service': 'orders' }).virtualHost).to.equal(orders)
    expect(named({}, 'nobody').outcome).to.include('E_ROUTE_UNKNOWN_SERVICE')
    expect(named({}, 'new').outcome).to.include('has not asked for the name yet')
    expect(named({}, '').outcome).to.include('E_ROUTE_NO_NAME')
    expect(named({ 'x-mesh-service': 'a b' }).outcome).to.include('E_ROUTE_NAME_NOT_ALLOWED')
  })

  it('says that no route matches', () => {
    const none = virtualHost([route('a', [{ uri: { exact: '/a' } }])])
    const answer = explain([none], { path: '/b' })
    expect(answer.outcome).to.equal('no route matches: 404 with E_ROUTE_NONE')
    expect(answer.destinations).to.deep.equal([])
  })

  it('tells what else of the rule takes part', () => {
    const store = rules(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders }
spec:
  hosts: [orders]
  http:
  - name: all
    route: [{ destination: { host: orders } }]
    timeout: 2s
    fault: { delay: { fixedDelay: 1s, percentage: { value: 12.5 } } }
    mirror: { host: shadow }
    mirrorPercentage: { value: 5 }
    rewrite: { authority: x }
    retries: { attempts: 1, retryOn: 5xx }
---
apiVersion: hostmesh.io/v1
kind: MeshPolicy
metadata: { name: orders }
spec:
  hosts: [orders]
  rateLimits: [{ name: burst, maxTokens: 1, fillInterval: 1s }]
  hedging: [{ after: 50ms }]
`)
    const { filters, outcome } = explain([compiled(store.virtualHost(orders).spec)])
    expect(filters).to.deep.equal([
      { filter: 'fault-delay', does: 'delays 12.5 % by 1000 ms' },
      {
        filter: 'rate-limit',
        does: 'answers 429 beyond limit public/orders/burst of MeshPolicy public/orders, per route',
      },
    ])
    expect(outcome).to.equal(
      'all of VirtualService public/orders spec.http[0]: forwards; on the way: rewrite, timeout 2000 ms, up to 1 retries on 5xx, hedging after 50 ms, mirror to public/DEFAULT_GROUP@@shadow for 5 %',
    )
  })

  it('shows destinations with their shares, every endpoint with its reason, and every value with its origin', () => {
    const store = rules(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: orders }
spec:
  hosts: [orders]
  http:
  - route:
    - { destination: { host: orders, subset: v2 }, weight: 10 }
    - { destination: { host: orders, subset: v1 }, weight: 30 }
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: { name: orders }
spec:
  host: orders
  trafficPolicy: { connectionPool: { tcp: { maxConnections: 9 } } }
  subsets:
  - { name: v1, labels: { version: v1 } }
  - { name: v2, labels: { version: v2 } }
`)
    const { subsets } = store.service(orders)
    const endpoints = endpointSet([
      endpoint('10.0.0.1', { version: 'v1' }),
      endpoint('10.0.0.2', { version: 'v2' }),
      endpoint('10.0.0.3', { version: 'v2', enabled: false }),
      endpoint('10.0.0.4', { version: 'v2', weight: 0 }),
    ])
    const answer = explain([compiled(store.virtualHost(orders).spec)], {}, ({ spec }) => {
      const subset = subsets[spec.subset!]!
      const cluster = createCluster({
        service: spec.service,
        subset: spec.subset,
        labels: subset.labels,
        own: { region: '', zone: '' },
        endpoints,
        policy: subset.policy,
        random: () => 0.5,
        now: 0,
      })
      return { candidates: cluster.candidates(0), note: cluster.portNote, policy: subset.policy }
    })
    expect(answer.destinations.map(({ service, subset, share }) => [service, subset, share])).to.deep.equal([
      [orders, 'v2', 0.25],
      [orders, 'v1', 0.75],
    ])
    expect(answer.destinations[0]!.candidates.map(({ endpoint, usable }) => [endpoint, usable])).to.deep.equal([
      ['10.0.0.1:80', false],
      ['10.0.0.2:80', true],
      ['10.0.0.3:80', false],
      ['10.0.0.4:80', false],
    ])
    expect(answer.destinations[0]!.candidates.map((one) => one.reason)).to.satisfy((reasons: string[]) => {
      expect(reasons[0]).to.include('subset v2 wants v2')
      expect(reasons[2]).to.include('disabled')
      expect(reasons[3]).to.include('weight 0')
      return true
    })
    const policy = answer.destinations[0]!.policy
    expect(policy.find((row) => row.path === 'pool.maxConnections')).to.deep.equal({
      path: 'pool.maxConnections',
      value: '9',
      origin: 'DestinationRule public/orders spec.trafficPolicy.connectionPool.tcp.maxConnections',
    })
    expect(policy.find((row) => row.path === 'panicShare')).to.deep.equal({
      path: 'panicShare',
      value: '0.5',
      origin: 'default',
    })
  })

  it('gives the origin of a whole section to each of its values', () => {
    const rows = explainPolicy({
      ...defaultTrafficPolicy,
      loadBalancer: { kind: 'maglev', key: { from: 'header', name: 'a' }, tableSize: 7 },
      origins: { loadBalancer: { kind: 'DestinationRule', name: 'n/a', path: 'spec.x' } },
    })
    expect(
      rows.filter((row) => row.path.startsWith('loadBalancer')).map((row) => [row.path, row.value, row.origin]),
    ).to.deep.equal([
      ['loadBalancer.kind', 'maglev', 'DestinationRule n/a spec.x'],
      ['loadBalancer.key.from', 'header', 'DestinationRule n/a spec.x'],
      ['loadBalancer.key.name', 'a', 'DestinationRule n/a spec.x'],
      ['loadBalancer.tableSize', '7', 'DestinationRule n/a spec.x'],
    ])
    expect(rows.find((row) => row.path === 'breaker')).to.deep.equal({
      path: 'breaker',
      value: 'off',
      origin: 'default',
    })
  })

  it('explains TCP listeners by their TCP routes', () => {
    const ledger = compiled(
      hostSpec([], {
        name: key('ledger'),
        tcp: ['a', 'b'].map((name) => ({
          name,
          origin: { kind: 'VirtualService', name: 'public/ledger', path: name },
          matches: name === 'a' ? [{ port: 9 }] : [],
          destinations: [{ service: key(name), weight: 1 }],
        })),
      }),
    )
    const answer = explain([ledger], { listener: '20002' })
    expect(answer.steps.map(({ rule, matched, reason }) => [rule, matched, reason])).to.deep.equal([
      ['a', false, 'match[0]: port is 20002, wanted 9'],
      ['b', true, 'matches'],
    ])
    expect(answer.destinations.map((one) => one.service)).to.deep.equal([key('b')])
    expect(answer.filters).to.deep.equal([])
  })

  it('shows the filters of a TCP route in their order, and takes no token of theirs', () => {
    const limit = (name: string, per: 'route' | 'source-app') => ({
      kind: 'rate-limit' as const,
      name,
      maxTokens: 1,
      tokensPerFill: 1,
      fillIntervalMs: 60_000,
      per,
      status: 429,
      origin: { kind: 'MeshPolicy' as const, name: 'public/ledger', path: '' },
    })
    const ledger = compiled(
      hostSpec([], {
        name: key('ledger'),
        tcp: [
          {
            name: 'all',
            origin: { kind: 'VirtualService', name: 'public/ledger', path: 'spec.tcp[0]' },
            matches: [],
            destinations: [{ service: key('ledger'), weight: 1 }],
            filters: [limit('ledger', 'route'), limit('each', 'source-app')],
          },
        ],
      }),
    )
    for (let i = 0; i < 5; i++)
      expect(explain([ledger], { listener: 'outbound-ledger', sourceApp: 'web' }).filters).to.deep.equal([
        { filter: 'rate-limit', does: 'resets connections beyond limit ledger of MeshPolicy public/ledger, per route' },
        {
          filter: 'rate-limit',
          does: 'resets connections beyond limit each of MeshPolicy public/ledger, per source-app',
        },
      ])
    const verdicts = ledger.tcpRoutes[0]!.filters.map(({ filter }) =>
      filter.onConnection({ ...filterContext(request(), 0, () => 0), view: connection() }),
    )
    expect(verdicts).to.deep.equal([null, null])
  })

  it('shows what x-mesh-route does, and the routes of the service to which it leads', () => {
    const canary = compiled(hostSpec([route('canary')], { name: key('orders-canary'), domains: ['orders-canary'] }))
    const overrides = {
      callers: ['cart'],
      services: { orders, 'orders-canary': key('orders-canary'), later: key('later'), nobody: 'nobody' as never },
      origin: { kind: 'MeshPolicy', name: 'public/trials', path: 'spec.routeOverrides' },
    }
    const called = compiled(hostSpec([route('rest')], { overrides }))
    const ask = (text: string, sourceApp?: string) =>
      explain([called, canary], { headers: { 'x-mesh-route': text }, sourceApp })
    const answer = ask('orders=orders-canary;v2', 'cart')
    expect(answer.virtualHost).to.equal(key('orders-canary'))
    expect(answer.steps.map((step) => [step.rule, step.origin, step.matched, step.reason])).to.deep.equal([
      ['x-mesh-route', 'MeshPolicy public/trials spec.routeOverrides', true, `goes to ${key('orders-canary')};v2`],
      ['canary', 'VirtualService public/test spec.http.canary', true, 'takes every request'],
    ])
    expect(answer.destinations.map((one) => [one.service, one.subset, one.share])).to.deep.equal([
      [key('orders-canary'), 'v2', 1],
    ])
    const reasonOf = (text: string, sourceApp?: string) => ask(text, sourceApp).steps[0]!.reason
    expect(reasonOf('orders=;v2')).to.equal('left out: the policy does not name 127.0.0.1')
    expect(reasonOf('stock=;v2', 'cart')).to.equal(`passed on: no entry is about ${orders}`)
    expect(ask('orders', 'cart').outcome).to.include('answered 400 with E_ROUTE_OVERRIDE_REFUSED: x-mesh-route:')
    expect(ask('orders=later', 'cart').outcome).to.include('for which this worker has not asked yet')
    expect(ask('orders=nobody', 'cart').outcome).to.include('E_ROUTE_UNKNOWN_SERVICE')
    const [step] = explain([host], { headers: { 'x-mesh-route': 'orders=;v2' } }).steps
    expect(step!.reason).to.equal(`left out: no policy lets anybody send calls of ${orders} elsewhere`)
  })

  it('takes no token and draws no fault', () => {
    const origin = { kind: 'MeshPolicy', name: 'p', path: '' }
    const limit = {
      name: 'l',
      maxTokens: 1,
      tokensPerFill: 1,
      fillIntervalMs: 1000,
      per: 'route' as const,
      status: 429,
      origin,
    }
    const limited = virtualHost([route('a', [], { filters: [{ kind: 'rate-limit', ...limit }] })])
    for (let i = 0; i < 5; i++) explain([limited])
    const view = request()
    expect(limited.routes[0]!.filters[0]!.filter.onRequest(filterContext(view, 0, () => 0))).to.equal(null)
  })

  it('agrees with the data path on random rules and requests', () => {
    const random = seededRandom(42)
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!
    const maybe = <T extends object>(share: number, value: T): T | object => (random() < share ? value : {})
    const text = () => pick([{ exact: 'a' }, { prefix: 'a' }, { regex: 'a+b?' }, { present: true as const }])
    const match = (): HttpMatchSpec => ({
      ...maybe(0.7, { uri: pick([{ exact: '/a' }, { prefix: '/a' }, { prefix: '/' }, { regex: '/[ab]+' }]) }),
      ...maybe(0.2, { ignoreUriCase: true }),
      ...maybe(0.2, { method: { exact: pick(['GET', 'PUT']) } }),
      ...maybe(0.2, { headers: { h: text() } }),
      ...maybe(0.2, { withoutHeaders: { w: text() } }),
      ...maybe(0.2, { queryParams: { q: text() } }),
      ...maybe(0.2, { sourceLabels: { app: pick(['cart', 'web']) } }),
      ...maybe(0.1, { port: pick([1, 2]) }),
      ...maybe(0.1, { authority: { prefix: pick(['o', 'x']) } }),
    })
    let [hits, misses] = [0, 0]
    for (let round = 0; round < 300; round++) {
      const routes = Array.from({ length: 1 + Math.floor(random() * 12) }, (_, i) =>
        route(`r${i}`, random() < 0.05 ? [] : Array.from({ length: 1 + Math.floor(random() * 3) }, match)),
      )
      const some = virtualHost(routes)
      for (let i = 0; i < 30; i++) {
        const view = request({
          path: pick(['/', '/a', '/A', '/ab', '/b', '/a?q=a', '/b?q=b', '/ab?q']),
          method: pick(['GET', 'PUT']),
          port: pick([1, 2, 3]),
          headers: { ...maybe(0.5, { h: pick(['a', 'ab', 'b']) }), ...maybe(0.3, { w: pick(['a', 'b']) }) } as Record<
            string,
            string
          >,
          ...maybe(0.5, { source: app(pick(['cart', 'web', 'other'])) }),
        })
        const decided = matchRoute(some, view)
        const { steps, route: explained } = httpSteps(some, view)
        expect(explained).to.equal(decided)
        const last = steps.at(-1)!
        expect(last.matched).to.equal(decided !== undefined)
        if (decided !== undefined) expect(last.rule).to.equal(decided.spec.name)
        for (const step of steps.filter((one) => !one.matched)) {
          misses++
          expect(step.reason, 'every match of a rule that is passed over has a reason').not.to.include(': holds')
        }
        if (decided !== undefined && decided.spec.matches.length > 0) {
          hits++
          expect(last.reason).to.match(/^match\[\d+\] holds$/)
        }
      }
    }
    expect(hits).to.be.above(1000)
    expect(misses).to.be.above(5000)
  })
})
