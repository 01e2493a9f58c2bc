import { expect } from 'chai'
import type { TrafficPolicySpec } from '../../../../../../contracts/policy-spec.ts'
import type { FilterSpec } from '../../../../../../contracts/route-spec.ts'
import { key, orders, ordersRoutes, resource, rules, inboundApplication } from '../../../../../support/routing.ts'

function withoutOrigin(filter: FilterSpec): Partial<FilterSpec> {
  const { origin, ...rest } = filter as Extract<FilterSpec, { kind: 'rate-limit' }>
  expect(origin.kind).to.equal('MeshPolicy')
  return rest
}

function policyOf(fields: string): TrafficPolicySpec {
  return rules(resource('MeshPolicy', `hosts: [orders]\n${fields}`)).service(orders).policy
}

describe('a MeshPolicy', () => {
  it('balances by latency, or by requests with more choices', () => {
    expect(policyOf('loadBalancer: { peakEwma: { decayTime: 5s } }').loadBalancer).to.deep.equal({
      kind: 'peak-ewma',
      decayMs: 5000,
    })
    expect(policyOf('loadBalancer: { peakEwma: {} }').loadBalancer).to.include({ decayMs: 10_000 })
    expect(policyOf('loadBalancer: { leastRequest: { choices: 4 } }').loadBalancer).to.deep.equal({
      kind: 'least-request',
      choices: 4,
    })
  })

  it('has a retry budget', () => {
    expect(policyOf('retryBudget: { percent: 5, minRetryConcurrency: 1 }').retryBudget).to.deep.equal({
      share: 0.05,
      minimumConcurrency: 1,
    })
  })

  it('has a three-state breaker', () => {
    expect(
      policyOf('circuitBreaker: { failurePercent: 25, minimumRequests: 10, window: 5s, openTime: 1s }').breaker,
    ).to.deep.equal({
      failureShare: 0.25,
      minimumRequests: 10,
      windowMs: 5000,
      openMs: 1000,
    })
    expect(policyOf('circuitBreaker: {}').breaker).to.deep.equal({
      failureShare: 0.5,
      minimumRequests: 20,
      windowMs: 10_000,
      openMs: 5000,
    })
  })

  it('adds the longest ejection and success rate to outlier detection', () => {
    const outlier = policyOf(
      'outlierDetection: { maxEjectionTime: 60s, successRate: { minimumHosts: 3, requestVolume: 50, stdevFactor: 2.5 } }',
    ).outlier
    expect(outlier).to.deep.include({
      consecutive5xx: 5,
      maxEjectionMs: 60_000,
      successRate: { minimumHosts: 3, requestVolume: 50, stdevFactor: 2.5 },
    })
  })

  it('keeps its part of outlier detection when a subset has figures of its own', () => {
    const store = rules(
      `${resource('MeshPolicy', 'hosts: [orders]\noutlierDetection: { maxEjectionTime: 60s }')}---
${resource('DestinationRule', 'host: orders\nsubsets: [{ name: v1, labels: { version: v1 }, trafficPolicy: { outlierDetection: { consecutive5xxErrors: 2 } } }]')}`,
    )
    expect(store.service(orders).subsets['v1']!.policy.outlier).to.include({ consecutive5xx: 2, maxEjectionMs: 60_000 })
  })

  it('checks endpoints by HTTP or TCP', () => {
    expect(
      policyOf(
        'healthCheck: { http: { path: /health }, interval: 2s, timeout: 500ms, healthyThreshold: 1, unhealthyThreshold: 4 }',
      ).activeCheck,
    ).to.deep.equal({
      kind: 'http',
      path: '/health',
      intervalMs: 2000,
      timeoutMs: 500,
      healthyThreshold: 1,
      unhealthyThreshold: 4,
    })
    expect(policyOf('healthCheck: { tcp: {} }').activeCheck).to.deep.equal({
      kind: 'tcp',
      path: '',
      intervalMs: 5000,
      timeoutMs: 1000,
      healthyThreshold: 2,
      unhealthyThreshold: 3,
    })
  })

  it('checks endpoints by the health service of gRPC', () => {
    expect(policyOf('healthCheck: { grpc: { service: shop.Orders } }').activeCheck).to.deep.include({
      kind: 'grpc',
      service: 'shop.Orders',
    })
    expect(policyOf('healthCheck: { grpc: {} }').activeCheck?.service).to.equal('')
  })

  it('has panic threshold, fallback, connection figures and PROXY protocol', () => {
    const policy = policyOf(`
panicThresholdPercent: 30
fallback: { direct: false }
connectionPool: { tcpUserTimeout: 10s, maxConnectionAge: 5m }
proxyProtocol: { version: V1 }`)
    expect(policy.panicShare).to.equal(0.3)
    expect(policy.fallback).to.deep.equal({ center: true, direct: false })
    expect(policy.pool).to.include({ tcpUserTimeoutMs: 10_000, maxConnectionAgeMs: 300_000 })
    expect(policy.proxyProtocol).to.equal('v1')
    expect(policy.origins['pool.tcpUserTimeoutMs']).to.deep.equal({
      kind: 'MeshPolicy',
      name: 'public/orders',
      path: 'spec.connectionPool.tcpUserTimeout',
    })
  })

  it('limits routes by name, or all of them, each with a bucket for the route or per caller', () => {
    const store = rules(
      `${ordersRoutes('- name: a\n  route: [{ destination: { host: orders } }]\n- name: b\n  route: [{ destination: { host: orders } }]')}---
${resource(
  'MeshPolicy',
  `
hosts: [orders]
rateLimits:
- { name: all, maxTokens: 100, tokensPerFill: 10, fillInterval: 1s }
- { name: callers, routes: [b], per: SourceApp, maxTokens: 5, fillInterval: 1m, status: 503 }
- { name: in, side: Inbound, maxTokens: 7, fillInterval: 1s }`,
)}`,
    )
    const { http, tcp } = store.virtualHost(orders).spec
    const limits = http.map((route) => route.filters?.map(withoutOrigin))
    const all = {
      kind: 'rate-limit',
      name: 'public/orders/all',
      maxTokens: 100,
      tokensPerFill: 10,
      fillIntervalMs: 1000,
      per: 'route',
      status: 429,
    }
    const callers = {
      kind: 'rate-limit',
      name: 'public/orders/callers',
      maxTokens: 5,
      tokensPerFill: 5,
      fillIntervalMs: 60_000,
      per: 'source-app',
      status: 503,
    }
    expect(limits).to.deep.equal([[all], [all, callers]])
    expect(
      tcp.map((route) => route.filters?.map(withoutOrigin)),
      'connections are limited as well',
    ).to.deep.equal([[all]])
    const inbound = store.inboundVirtualHost(orders, inboundApplication('local/inbound@@orders'))
    for (const route of [inbound.http[0]!, inbound.tcp[0]!])
      expect(route.filters).to.deep.include.members([{ ...route.filters![0]!, name: 'public/orders/in' }])
    expect(inbound.http[0]!.retry).to.equal(undefined)
  })

  it('limits a service without a VirtualService too', () => {
    const store = rules(
      resource('MeshPolicy', 'hosts: [orders]\nrateLimits: [{ name: a, maxTokens: 1, fillInterval: 1s }]'),
    )
    expect(store.virtualHost(orders).spec.http[0]!.filters).to.have.length(1)
  })

  it('hedges all routes or those it names', () => {
    const store = rules(
      `${ordersRoutes('- name: a\n  route: [{ destination: { host: orders } }]\n- name: b\n  route: [{ destination: { host: orders } }]')}---
${resource('MeshPolicy', 'hosts: [orders]\nhedging: [{ routes: [a], after: 50ms }, { after: 1s, maxExtra: 2, requests: All }]')}`,
    )
    expect(store.virtualHost(orders).spec.http.map((route) => route.hedge)).to.deep.equal([
      { afterMs: 50, maxExtra: 1 },
      { afterMs: 1000, maxExtra: 2, all: true },
    ])
  })

  it('lets everything be repeated on all routes or on those it names, where there are retries', () => {
    const to = 'route: [{ destination: { host: orders } }]'
    const policy = (spec: string): string => resource('MeshPolicy', `hosts: [orders]\nretries: [${spec}]`)
    const routes = ordersRoutes(
      `- name: a\n  ${to}\n- name: b\n  ${to}\n- name: c\n  retries: { attempts: 0 }\n  ${to}`,
    )
    const repeats = (spec: string) =>
      rules(`${routes}---\n${policy(spec)}`)
        .virtualHost(orders)
        .spec.http.map(({ retry }) => retry?.all)
    expect(repeats('{ routes: [a, c], requests: All }')).to.deep.equal([true, undefined, undefined])
    expect(repeats('{ requests: All }')).to.deep.equal([true, true, undefined])
  })

  it('applies to every service without hosts, below a DestinationRule; with the host above it, below its subsets', () => {
    const destinationRule = resource(
      'DestinationRule',
      `
host: orders
trafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } }
subsets: [{ name: v1, labels: { version: v1 }, trafficPolicy: { loadBalancer: { simple: RANDOM } } }]`,
    )
    const wide = resource('MeshPolicy', 'loadBalancer: { peakEwma: {} }', 'wide')
    const own = resource('MeshPolicy', 'hosts: [orders]\nloadBalancer: { leastRequest: { choices: 5 } }', 'own')
    const first = rules([destinationRule, wide].join('---\n'))
    expect(first.service(key('other')).policy.loadBalancer.kind).to.equal('peak-ewma')
    expect(first.service(orders).policy.loadBalancer.kind).to.equal('round-robin')
    const second = rules([destinationRule, wide, own].join('---\n')).service(orders)
    expect(second.policy.loadBalancer).to.include({ kind: 'least-request', choices: 5 })
    expect(second.subsets['v1']!.policy.loadBalancer.kind).to.equal('random')
  })

  it('is merged with others field by field, the first by name deciding', () => {
    const store = rules(
      [
        resource('MeshPolicy', 'hosts: [orders]\npanicThresholdPercent: 20\nproxyProtocol: { version: V2 }', 'b'),
        resource('MeshPolicy', 'hosts: [orders]\npanicThresholdPercent: 10', 'a'),
      ].join('---\n'),
    )
    expect(store.service(orders).policy).to.include({ panicShare: 0.1, proxyProtocol: 'v2' })
    expect(
      store.statuses().map(({ name, state, problems }) => [name, state, problems.map((one) => one.message)]),
    ).to.deep.equal([
      ['b', 'applied', ['panicThresholdPercent of orders: decided by MeshPolicy public/a, which comes first']],
      ['a', 'applied', []],
    ])
  })

  it('tells when it names a route that no host of it has', () => {
    const store = rules(resource('MeshPolicy', 'hosts: [orders]\nhedging: [{ routes: [nope], after: 1s }]'))
    expect(store.statuses()[0]!.problems.map((one) => one.message)).to.deep.equal([
      'no route of its hosts is named "nope"',
    ])
  })

  it('limits requests by latency, by success, and by caller; each with Envoy’s defaults', () => {
    const policy = policyOf(
      'adaptiveConcurrency: {}\nadmissionControl: {}\ncallers: [{ caller: batch, maxRequests: 5 }]',
    )
    expect(policy.concurrency).to.deep.equal({
      percentile: 0.5,
      minLimit: 3,
      maxLimit: 1000,
      updateIntervalMs: 100,
      minRttIntervalMs: 60_000,
      buffer: 0.25,
    })
    expect(policy.admissionControl).to.deep.equal({
      successShare: 0.95,
      aggression: 1,
      minimumRequests: 20,
      windowMs: 10_000,
      maxRejectionShare: 0.8,
    })
    expect(policy.callers).to.deep.equal([{ caller: 'batch', maxRequests: 5, weight: 1 }])
    expect(policy.origins).to.include.keys('concurrency', 'admissionControl', 'callers')
  })

  it('says for which side: of calls, or of what the local application gets', () => {
    const store = rules(
      resource(
        'MeshPolicy',
        `hosts: [orders]
adaptiveConcurrency: { side: Inbound, maxConcurrencyLimit: 9, bufferPercent: 50 }
admissionControl: { successRateThresholdPercent: 90, aggression: 2, maxRejectionPercent: 50, samplingWindow: 5s, minimumRequests: 7 }
callers: [{ caller: a, weight: 3 }, { caller: b, side: Inbound, maxRequests: 2 }]`,
      ),
    )
    const { policy } = store.service(orders)
    expect(policy).to.not.have.property('concurrency')
    expect(policy.admissionControl).to.deep.equal({
      successShare: 0.9,
      aggression: 2,
      minimumRequests: 7,
      windowMs: 5000,
      maxRejectionShare: 0.5,
    })
    expect(policy.callers).to.deep.equal([{ caller: 'a', maxRequests: 0, weight: 3 }])
    const inbound = store.inboundPolicy(orders)
    expect(inbound.concurrency).to.include({ maxLimit: 9, buffer: 0.5 })
    expect(inbound).to.not.have.property('admissionControl')
    expect(inbound.callers).to.deep.equal([{ caller: 'b', maxRequests: 2, weight: 1 }])
  })

  it('says who may send calls elsewhere by x-mesh-route, and where to; the most specific policy decides', () => {
    const store = rules(
      [
        resource('MeshPolicy', 'routeOverrides: { callers: [everywhere] }', 'all'),
        resource(
          'MeshPolicy',
          'hosts: [orders]\nrouteOverrides: { callers: [tester, "spiffe://cluster.local/ns/a/sa/b"], destinations: [orders-canary, other/G@@far] }',
          'of-orders',
        ),
      ].join('---\n'),
    )
    const { origin, ...overrides } = store.virtualHost(orders).spec.overrides!
    expect(origin).to.include({ kind: 'MeshPolicy', path: 'spec.routeOverrides' })
    expect(overrides).to.deep.equal({
      callers: ['tester', 'spiffe://cluster.local/ns/a/sa/b'],
      services: {
        [orders]: orders,
        'DEFAULT_GROUP@@orders': orders,
        orders,
        [key('orders-canary')]: key('orders-canary'),
        'DEFAULT_GROUP@@orders-canary': key('orders-canary'),
        'orders-canary': key('orders-canary'),
        'other/G@@far': 'other/G@@far',
      },
    })
    expect(store.inboundVirtualHost(orders, inboundApplication(orders)).overrides!.callers).to.include('tester')
    expect(store.virtualHost(key('stock')).spec.overrides!.callers).to.deep.equal(['everywhere'])
    expect(rules('').virtualHost(orders).spec).to.not.have.property('overrides')
  })
})
