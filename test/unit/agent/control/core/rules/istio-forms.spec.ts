import { expect } from 'chai'
import { RuleStore } from '../../../../../../agent/control/core/rules/rule-store.ts'
import { entrySet } from '../../../../../../agent/control/core/rules/service-entry.ts'
import { matchRoute } from '../../../../../../agent/worker/route/virtual-host.ts'
import type { HttpRouteSpec } from '../../../../../../contracts/route-spec.ts'
import {
  compiled,
  key,
  orders,
  ordersRoutes,
  problemsOf,
  request,
  resource,
  rules,
} from '../../../../../support/routing.ts'

const toOrders = 'route: [{ destination: { host: orders } }]'
const first = (http: string): HttpRouteSpec => rules(ordersRoutes(http)).virtualHost(orders).spec.http[0]!
const destination = (route: HttpRouteSpec) =>
  route.action.kind === 'forward' ? route.action.destinations[0]! : expect.fail('does not forward')

describe('forms that Istio documents have', () => {
  it('take "*" as a regular expression for presence, and elsewhere for anything', () => {
    expect(first(`- match: [{ headers: { x-a: { regex: "*" } } }]\n  ${toOrders}`).matches[0]!.headers).to.deep.equal({
      'x-a': { present: true },
    })
    expect(first(`- match: [{ uri: { regex: "*" } }]\n  ${toOrders}`).matches[0]!.uri).to.deep.equal({ regex: '.*' })
  })

  it('take percentages in their older whole-number forms', () => {
    const { filters, mirrors } = first(
      `- fault: { delay: { fixedDelay: 1s, percent: 10 } }\n  mirror: { host: m }\n  mirror_percent: 25\n  ${toOrders}`,
    )
    expect(filters).to.deep.equal([{ kind: 'fault-delay', share: 0.1, fixedMs: 1000 }])
    expect(mirrors![0]!.share).to.equal(0.25)
  })

  it('count a field without a value as not there, and say so, but no condition and nothing of a kind of ours', () => {
    const store = rules(
      resource('VirtualService', `hosts: [orders]\nhttp:\n- match:\n  retries:\n  timeout: null\n  ${toOrders}`),
    )
    const route = store.virtualHost(orders).spec.http[0]!
    expect(route.matches).to.deep.equal([])
    expect(route.timeoutMs).to.equal(first(`- ${toOrders}`).timeoutMs)
    const notes = store.statuses().flatMap(({ problems }) => problems)
    expect(notes.map(({ path }) => path)).to.include.members([
      'spec.http[0].match',
      'spec.http[0].retries',
      'spec.http[0].timeout',
    ])
    expect(problemsOf(ordersRoutes(`- match: [{ headers: { x-a: } }]\n  ${toOrders}`))[0]).to.include(
      'headers.x-a: found nothing',
    )
    expect(problemsOf(resource('MeshPolicy', 'hosts: [orders]\ncircuitBreaker:'))[0]).to.include(
      'spec.circuitBreaker: found nothing',
    )
  })

  it('allow every origin with exact "*" and with the older allowOrigin', () => {
    for (const origins of ['allowOrigins: [{ exact: "*" }]', 'allowOrigin: ["*"]']) {
      const { filters } = first(`- corsPolicy: { ${origins} }\n  ${toOrders}`)
      expect(filters![0]).to.deep.include({ kind: 'cors', allowOrigins: [{ regex: '.*' }] })
    }
  })

  it('name the next hop by a Host that is set, for the route and for one destination', () => {
    const route = first(
      `- headers: { request: { set: { Host: a.example.com, x-b: c } } }\n  route: [{ destination: { host: orders }, headers: { request: { set: { ":authority": b.example.com } } } }]`,
    )
    expect(route.rewrite).to.deep.equal({ authority: 'a.example.com' })
    expect(route.requestHeaders!.set).to.deep.equal([['x-b', 'c']])
    expect(destination(route).authority).to.equal('b.example.com')
    expect(destination(route)).not.to.have.property('requestHeaders')
  })

  it('say whether a retry goes to an endpoint that was tried', () => {
    const retry = (more: string) => first(`- retries: { attempts: 1${more} }\n  ${toOrders}`).retry!
    expect(retry('')).not.to.have.property('ignorePreviousHosts')
    expect(retry(', retryIgnorePreviousHosts: false').ignorePreviousHosts).to.equal(false)
    expect(retry(', retryIgnorePreviousHosts: true').ignorePreviousHosts).to.equal(true)
  })

  it('apply what they say for the mesh beside gateways, with a note for a Gateway that is not there', () => {
    const text = resource(
      'VirtualService',
      `hosts: [orders]\ngateways: [ingress, mesh]\nhttp:\n- match: [{ gateways: [ingress], uri: { prefix: /in } }]\n  route: [{ destination: { host: a } }]\n- match: [{ gateways: [ingress], uri: { prefix: /x } }, { gateways: [mesh], uri: { prefix: /y } }]\n  route: [{ destination: { host: b } }]`,
    )
    const { http } = rules(text).virtualHost(orders).spec
    expect(http.map(({ name, matches }) => [name, matches])).to.deep.equal([['http[1]', [{ uri: { prefix: '/y' } }]]])
    expect(problemsOf(text)).to.deep.equal([
      'spec.gateways[0]: there is no Gateway public/ingress; nothing leads here by it',
    ])
  })

  it('have subsets without labels: all endpoints, under a policy of their own', () => {
    const store = rules(
      resource('DestinationRule', 'host: orders\nsubsets: [{ name: all }, { name: none, labels: {} }]'),
    )
    expect(Object.values(store.service(orders).subsets).map(({ labels }) => labels)).to.deep.equal([{}, {}])
  })

  it('eject by the older consecutiveErrors, which counts gateway errors', () => {
    const { outlier } = rules(
      resource('DestinationRule', 'host: orders\ntrafficPolicy: { outlierDetection: { consecutiveErrors: 7 } }'),
    ).service(orders).policy
    expect([outlier!.consecutiveGatewayErrors, outlier!.consecutive5xx]).to.deep.equal([7, 0])
  })

  it('are visible here or not by exportTo', () => {
    const store = (list: string) => {
      const made = new RuleStore({ namespace: 'public', group: 'DEFAULT_GROUP', namespaces: ['prod'] })
      const text = resource(
        'VirtualService',
        `hosts: [orders]\nexportTo: ${list}\nhttp: [{ timeout: 1s, ${toOrders} }]`,
      )
      const [status] = made.replaceSource('rules.d', [{ name: 'a', text }]).statuses
      return [status!.state, made.virtualHost(orders).spec.http[0]!.timeoutMs]
    }
    expect(store('["."]')).to.deep.equal(['applied', 1000])
    expect(store('["*"]')).to.deep.equal(['applied', 1000])
    expect(store('[]')).to.deep.equal(['applied', 1000])
    expect(store('[prod]')).to.deep.equal(['conflict', 0])
  })
})

describe('a panic threshold', () => {
  const panic = (text: string): number => rules(text).service(orders).policy.panicShare
  const outlier = (more = '') =>
    resource('DestinationRule', `host: orders\ntrafficPolicy: { outlierDetection: { interval: 1s${more} } }`)
  const mesh = (hosts: string) => resource('MeshPolicy', `${hosts}panicThresholdPercent: 40`, 'mesh')

  it('is minHealthPercent where a DestinationRule ejects, 0 without it', () => {
    expect(panic(outlier())).to.equal(0)
    expect(panic(outlier(', minHealthPercent: 30'))).to.equal(0.3)
    expect(panic(resource('DestinationRule', 'host: orders'))).to.equal(0.5)
  })

  it('is that of a MeshPolicy where the DestinationRule does not say it', () => {
    expect(panic(`${outlier()}---\n${mesh('')}`)).to.equal(0.4)
    expect(panic(`${outlier(', minHealthPercent: 30')}---\n${mesh('')}`)).to.equal(0.3)
    expect(panic(`${outlier(', minHealthPercent: 30')}---\n${mesh('hosts: [orders]\n')}`)).to.equal(0.4)
  })
})

describe('a bound on retries', () => {
  const policy = (fields: string) =>
    rules(resource('DestinationRule', `host: orders\n${fields}`)).service(orders).policy

  it('holds although there is a budget by default, and gives way to a budget that is said', () => {
    const bounded = policy('trafficPolicy: { connectionPool: { http: { maxRetries: 7 } } }')
    expect([bounded.pool.maxRetries, bounded.retryBudget]).to.deep.equal([7, undefined])
    const both = policy('trafficPolicy: { connectionPool: { http: { maxRetries: 7 } }, retryBudget: { percent: 50 } }')
    expect(both.retryBudget!.share).to.equal(0.5)
    expect(policy('trafficPolicy: { connectionPool: { http: { idleTimeout: 1s } } }').retryBudget!.share).to.equal(0.2)
  })
})

describe('two DestinationRules of one host', () => {
  const a = resource('DestinationRule', 'host: orders\nsubsets: [{ name: v1, labels: { version: v1 } }]', 'a')
  const b = resource(
    'DestinationRule',
    'host: orders\ntrafficPolicy: { loadBalancer: { simple: RANDOM } }\nsubsets: [{ name: v1, labels: { version: no } }, { name: v2, labels: { version: v2 } }]',
    'b',
  )
  const c = resource('DestinationRule', 'host: orders\ntrafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } }', 'c')

  it('give the subsets of both, the first of a name, and the first policy', () => {
    const service = rules(`${b}---\n${a}`).service(orders)
    expect(Object.entries(service.subsets).map(([name, { labels }]) => [name, labels['version']])).to.deep.equal([
      ['v1', 'v1'],
      ['v2', 'v2'],
    ])
    expect(service.policy.loadBalancer.kind).to.equal('random')
    expect(service.subsets['v1']!.policy.loadBalancer.kind, 'inherits from the other rule').to.equal('random')
    expect(service.policy.origins['loadBalancer']).to.include({ name: 'public/b' })
  })

  it('are told what became of them', () => {
    const store = rules(`${a}---\n${b}`)
    expect(
      store.statuses().flatMap(({ name, problems }) => problems.map(({ message }) => [name, message])),
    ).to.deep.equal([
      [
        'b',
        'orders: merged with DestinationRule public/a, which comes first; subsets from here: v2; subsets that the first has already: v1',
      ],
    ])
    const { statuses } = new RuleStore({ namespace: 'public', group: 'DEFAULT_GROUP' }).replaceSource('r', [
      { name: 'all', text: `${a}---\n${b}---\n${c}` },
    ])
    expect(statuses.map(({ name, state }) => [name, state])).to.deep.equal([
      ['a', 'applied'],
      ['b', 'applied'],
      ['c', 'conflict'],
    ])
  })
})

describe('delegation', () => {
  const root = (http: string): string => resource('VirtualService', `hosts: [orders]\nhttp:\n${http}`)
  const below = (http: string): string => resource('VirtualService', `http:\n${http}`, 'below')

  it('puts the routes of the delegate under the conditions of both', () => {
    const { http } = rules(
      `${root(`- match: [{ uri: { prefix: /api } }]\n  timeout: 5s\n  delegate: { name: below }\n- ${toOrders}`)}---\n${below(
        `- match: [{ uri: { prefix: /api/v2 }, headers: { x-a: { exact: b } } }]\n  route: [{ destination: { host: v2 } }]\n- name: rest\n  timeout: 1s\n  route: [{ destination: { host: v1 } }]\n- match: [{ uri: { prefix: /other } }]\n  route: [{ destination: { host: never } }]`,
      )}`,
    ).virtualHost(orders).spec
    expect(http.map(({ name, matches, timeoutMs, origin }) => [name, matches, timeoutMs, origin.name])).to.deep.equal([
      ['http[0]-http[0]', [{ uri: { prefix: '/api/v2' }, headers: { 'x-a': { exact: 'b' } } }], 5000, 'public/below'],
      ['http[0]-rest', [{ uri: { prefix: '/api' } }], 1000, 'public/below'],
      ['http[1]', [], 0, 'public/orders'],
    ])
  })

  it('tells of a delegate that is missing, and finds it when it comes', () => {
    const store = rules(root('- delegate: { name: below }'))
    expect(store.statuses()[0]!.problems[0]!.message).to.include(
      'there is no VirtualService public/below without hosts',
    )
    expect(store.virtualHost(orders).spec.http).to.deep.equal([])
    const { affected } = store.replaceSource('more', [{ name: 'b', text: below(`- ${toOrders}`) }])
    expect(affected).to.equal('all')
    expect(store.virtualHost(orders).spec.http).to.have.length(1)
  })
})

describe('a ServiceEntry as users have it', () => {
  const entry = (more: string, ports = '[{ number: 80, name: http, protocol: http }]') =>
    resource('ServiceEntry', `hosts: [api.example.com]\nports: ${ports}\n${more}`, 'api')
  const api = key('api.example.com')
  const places = (text: string) =>
    rules(text)
      .declaredService(api)!
      .endpoints.map((one) => `${one.host}:${one.port}`)

  it('without a resolution, or with NONE, goes where the name resolves to, or to its plain addresses', () => {
    expect(places(entry(''))).to.deep.equal(['api.example.com:80'])
    expect(places(entry('resolution: NONE\nlocation: MESH_EXTERNAL'))).to.deep.equal(['api.example.com:80'])
    expect(places(entry('resolution: NONE\naddresses: [192.0.2.1]'))).to.deep.equal(['192.0.2.1:80'])
    expect(places(entry('resolution: NONE\naddresses: [192.0.2.0/24]'))).to.deep.equal(['api.example.com:80'])
    expect(places(entry('resolution: DNS\naddresses: [192.0.2.1]'))).to.deep.equal(['api.example.com:80'])
  })

  it('is called by its addresses too', () => {
    const store = rules(entry('resolution: DNS\naddresses: [192.0.2.1, 192.0.2.0/24]'))
    expect(store.resolveName('192.0.2.1')).to.equal(api)
    expect(store.virtualHost(api).spec.domains).to.deep.equal(['api.example.com', '192.0.2.1'])
  })

  it('takes the workloads that its selector names, of its own namespace', () => {
    const workload = (name: string, labels: string, namespace = 'public') =>
      resource(
        'WorkloadEntry',
        `address: 10.0.0.${name.length}\nlabels: ${labels}\nports: { http: 8080 }`,
        name,
      ).replace(`name: ${name}`, `name: ${name}, namespace: ${namespace}`)
    const text = [
      entry('resolution: STATIC\nworkloadSelector: { labels: { app: api } }'),
      workload('a', '{ app: api, version: v1 }'),
      workload('bb', '{ app: other }'),
      workload('ccc', '{ app: api }', 'prod'),
    ]
    const store = rules(text.join('---\n'))
    expect(store.declaredService(api)!.endpoints.map((one) => `${one.host}:${one.port} ${one.version}`)).to.deep.equal([
      '10.0.0.1:8080 v1',
    ])
    expect(store.statuses().map(({ name, problems }) => [name, problems.length])).to.deep.equal([
      ['api', 0],
      ['a', 0],
      ['bb', 1],
      ['ccc', 1],
    ])
  })

  it('under a wildcard without endpoints gives each name its own', () => {
    const store = rules(entry('resolution: NONE').replace('api.example.com', '"*.example.com"'))
    expect(store.resolveName('a.example.com')).to.equal(key('a.example.com'))
    const declared = store.declaredService(key('a.example.com'))!
    expect(declared.endpoints.map(({ host }) => host)).to.deep.equal(['a.example.com'])
    expect(store.virtualHost(key('a.example.com')).isDeclared).to.equal(true)
  })

  describe('with several ports', () => {
    const ports =
      '[{ number: 80, name: a, protocol: HTTP, targetPort: 8080 }, { number: 8080, name: b, protocol: HTTP2 }, { number: 8081, name: c, protocol: HTTP, targetPort: 8080 }, { number: 9000, protocol: GRPC-web }]'
    const store = rules(entry('resolution: STATIC\nendpoints: [{ address: 10.0.0.1 }]', ports))
    const host = compiled(store.virtualHost(api).spec)

    it('has HTTP and other ports in one entry', () => {
      expect(store.declaredService(api)!.ports.map(({ number, protocol }) => [number, protocol])).to.deep.equal([
        [80, 'http'],
        [8080, 'tcp'],
        [8081, 'http'],
        // GRPC-Web means grpc, and beside HTTP/1.1 that passes as TCP
        [9000, 'tcp'],
      ])
      const tcp = store.virtualHost(api).spec.tcp[0]!.destinations[0]!
      expect([tcp.ports, tcp.hasOnlyPorts]).to.deep.equal([[8080, 9000], true])
    })

    it('has no route for a port that it does not list', () => {
      expect(matchRoute(host, request({ host: 'api.example.com:8081' }))).not.to.equal(undefined)
      expect(matchRoute(host, request({ host: 'api.example.com' }))).not.to.equal(undefined)
      expect(matchRoute(host, request({ host: 'api.example.com:9999' }))).to.equal(undefined)
      expect(matchRoute(host, request({ host: 'api.example.com:8080' })), 'no HTTP there').to.equal(undefined)
    })

    it('keeps one endpoint for two ports with one target', () => {
      const set = entrySet(store.declaredService(api)!, new Map(), 1, 0)
      expect(set.endpoints.map((one) => [one.port, one.metadata['hostmesh.service-ports']])).to.deep.equal([
        [8080, '80,8080,8081'],
        [9000, '9000'],
      ])
    })
  })
})
