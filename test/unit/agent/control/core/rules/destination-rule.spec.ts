import { expect } from 'chai'
import { defaultTrafficPolicy } from '../../../../../../contracts/policy-spec.ts'
import type { TrafficPolicySpec } from '../../../../../../contracts/policy-spec.ts'
import { key, orders, resource, rules } from '../../../../../support/routing.ts'

function policyOf(fields: string): TrafficPolicySpec {
  return rules(resource('DestinationRule', `host: orders\ntrafficPolicy:\n  ${fields}`)).service(orders).policy
}

describe('a DestinationRule', () => {
  it('has the simple balancers', () => {
    const kinds = {
      ROUND_ROBIN: 'round-robin',
      LEAST_REQUEST: 'least-request',
      LEAST_CONN: 'least-request',
      RANDOM: 'random',
      PASSTHROUGH: 'passthrough',
      UNSPECIFIED: defaultTrafficPolicy.loadBalancer.kind,
    }
    for (const [word, kind] of Object.entries(kinds)) {
      expect(policyOf(`loadBalancer: { simple: ${word} }`).loadBalancer.kind, word).to.equal(kind)
    }
  })

  it('hashes by header, cookie, source or query, on a ring or with maglev', () => {
    const hash = (fields: string) => policyOf(`loadBalancer: { consistentHash: { ${fields} } }`).loadBalancer
    expect(hash('httpHeaderName: X-User')).to.deep.equal({
      kind: 'ring-hash',
      key: { from: 'header', name: 'x-user' },
      minimumRingSize: 1024,
    })
    expect(hash('httpHeaderName: Host')).to.deep.include({ key: { from: 'header', name: 'host' } })
    expect(hash('httpCookie: { name: session, path: /, ttl: 0s }, ringHash: { minimumRingSize: 4096 }')).to.deep.equal({
      kind: 'ring-hash',
      key: { from: 'cookie', name: 'session', path: '/', ttlMs: 0 },
      minimumRingSize: 4096,
    })
    expect(hash('httpCookie: { name: session }')).to.deep.include({
      key: { from: 'cookie', name: 'session', path: '', ttlMs: undefined },
    })
    expect(hash('useSourceIp: true, maglev: {}')).to.deep.equal({
      kind: 'maglev',
      key: { from: 'source-address' },
      tableSize: 65_537,
    })
    expect(hash('httpQueryParameterName: user, maglev: { tableSize: 5003 }')).to.deep.equal({
      kind: 'maglev',
      key: { from: 'query', name: 'user' },
      tableSize: 5003,
    })
  })

  it('has locality distribute, failover and enabled', () => {
    const locality = (fields: string) => policyOf(`loadBalancer: { localityLbSetting: { ${fields} } }`).locality
    expect(locality('enabled: false')).to.deep.equal({ enabled: false })
    expect(locality('failover: [{ from: bj, to: sh }]')).to.deep.equal({
      enabled: true,
      failover: [{ from: 'bj', to: 'sh' }],
    })
    expect(locality('distribute: [{ from: bj/bj-1/*, to: { "bj/bj-1/*": 80, bj/*: 20 } }]')).to.deep.equal({
      enabled: true,
      distribute: [{ from: 'bj/bj-1', to: { 'bj/bj-1': 0.8, 'bj/*': 0.2 } }],
    })
  })

  it('warms up, in both spellings', () => {
    expect(policyOf('loadBalancer: { simple: ROUND_ROBIN, warmup: { duration: 30s } }').warmupMs).to.equal(30_000)
    expect(policyOf('loadBalancer: { simple: ROUND_ROBIN, warmupDurationSecs: 30s }').warmupMs).to.equal(30_000)
  })

  it('bounds connections and requests', () => {
    const { pool } = policyOf(`connectionPool:
    tcp:
      maxConnections: 10
      connectTimeout: 250ms
      tcpKeepalive: { time: 60s, interval: 5s }
      maxConnectionDuration: 1h
      idleTimeout: 0s
    http:
      http1MaxPendingRequests: 20
      http2MaxRequests: 30
      maxRequestsPerConnection: 40
      maxConcurrentStreams: 60
      h2UpgradePolicy: UPGRADE
      maxRetries: 50
      idleTimeout: 90s`)
    expect(pool).to.deep.equal({
      maxConnections: 10,
      connectTimeoutMs: 250,
      maxPending: 20,
      maxRequests: 30,
      maxRequestsPerConnection: 40,
      maxConcurrentStreams: 60,
      upgradesToHttp2: true,
      maxRetries: 50,
      idleTimeoutMs: 90_000,
      maxConnectionAgeMs: 3_600_000,
      tcpKeepalive: { timeMs: 60_000, intervalMs: 5000, probes: 9 },
      tcpUserTimeoutMs: defaultTrafficPolicy.pool.tcpUserTimeoutMs,
      tcpIdleTimeoutMs: 0,
    })
  })

  it('detects outliers with the given figures and Istio defaults for the others', () => {
    expect(
      policyOf(
        'outlierDetection: { consecutive5xxErrors: 3, consecutiveGatewayErrors: 2, consecutiveLocalOriginFailures: 1, splitExternalLocalOriginErrors: true, interval: 1s, baseEjectionTime: 2s, maxEjectionPercent: 50, minHealthPercent: 25 }',
      ).outlier,
    ).to.deep.equal({
      consecutive5xx: 3,
      consecutiveGatewayErrors: 2,
      consecutiveLocalFailures: 1,
      splitLocalErrors: true,
      intervalMs: 1000,
      baseEjectionMs: 2000,
      maxEjectionMs: 300_000,
      maxEjectionShare: 0.5,
      minHealthShare: 0.25,
    })
    expect(policyOf('outlierDetection: {}').outlier).to.deep.equal({
      consecutive5xx: 5,
      consecutiveGatewayErrors: 0,
      consecutiveLocalFailures: 5,
      splitLocalErrors: false,
      intervalMs: 10_000,
      baseEjectionMs: 30_000,
      maxEjectionMs: 300_000,
      maxEjectionShare: 0.1,
      minHealthShare: 0,
    })
  })

  it('has a retry budget and PROXY protocol, and takes TLS only where it is off', () => {
    expect(policyOf('retryBudget: { percent: 10, minRetryConcurrency: 5 }').retryBudget).to.deep.equal({
      share: 0.1,
      minimumConcurrency: 5,
    })
    expect(policyOf('retryBudget: {}').retryBudget).to.deep.equal({ share: 0.2, minimumConcurrency: 3 })
    expect(policyOf('proxyProtocol: { version: V2 }').proxyProtocol).to.equal('v2')
    expect(policyOf('proxyProtocol: {}').proxyProtocol).to.equal('v1')
    expect(policyOf('tls: { mode: DISABLE }')).to.deep.include({ pool: defaultTrafficPolicy.pool })
  })

  it('leaves what it does not say at the defaults', () => {
    const { origins: _, ...policy } = policyOf('proxyProtocol: {}')
    const { origins: __, ...defaults } = defaultTrafficPolicy
    expect(policy).to.deep.equal({ ...defaults, proxyProtocol: 'v1' })
  })

  it('applies to every host of a wildcard unless a rule names the host itself', () => {
    const store = rules(
      `${resource('DestinationRule', 'host: "*.example.com"\ntrafficPolicy: { loadBalancer: { simple: RANDOM } }', 'wide')}---
${resource('DestinationRule', 'host: a.example.com\ntrafficPolicy: { loadBalancer: { simple: ROUND_ROBIN } }', 'one')}`,
    )
    expect(store.service(key('a.example.com')).policy.loadBalancer.kind).to.equal('round-robin')
    expect(store.service(key('b.example.com')).policy.loadBalancer.kind).to.equal('random')
    expect(store.service(key('c.b.example.com')).policy.loadBalancer.kind).to.equal('random')
    expect(store.service(key('example.com')).policy.loadBalancer.kind).to.equal('least-request')
  })
})

describe('subsets and ports of a DestinationRule', () => {
  const service = rules(
    resource(
      'DestinationRule',
      `
host: orders
trafficPolicy:
  loadBalancer: { simple: ROUND_ROBIN }
  connectionPool: { tcp: { maxConnections: 7, connectTimeout: 2s } }
  proxyProtocol: { version: V2 }
  portLevelSettings:
  - { port: { number: 9090 }, connectionPool: { tcp: { maxConnections: 9 } } }
subsets:
- { name: v1, labels: { version: v1 } }
- name: v2
  labels: { version: v2, zone: bj-1 }
  trafficPolicy:
    connectionPool: { tcp: { maxConnections: 2 } }
    portLevelSettings:
    - { port: { number: 80 }, loadBalancer: { simple: RANDOM } }`,
    ),
  ).service(orders)

  it('have the labels of the rule', () => {
    expect(Object.entries(service.subsets).map(([name, { labels }]) => [name, labels])).to.deep.equal([
      ['v1', { version: 'v1' }],
      ['v2', { version: 'v2', zone: 'bj-1' }],
    ])
  })

  it('inherit what they do not say, and replace a section whole where they say it', () => {
    expect(service.subsets['v1']!.policy).to.deep.equal(service.policy)
    const { loadBalancer, pool } = service.subsets['v2']!.policy
    expect(loadBalancer.kind).to.equal('round-robin')
    expect([pool.maxConnections, pool.connectTimeoutMs]).to.deep.equal([2, defaultTrafficPolicy.pool.connectTimeoutMs])
  })

  it('inherit nothing but PROXY protocol where a port has settings', () => {
    const policy = service.portPolicies['9090']!
    expect(policy.loadBalancer.kind).to.equal('least-request')
    expect([policy.pool.maxConnections, policy.pool.connectTimeoutMs]).to.deep.equal([9, 1000])
    expect(policy.proxyProtocol).to.equal('v2')
  })

  it('use the ports of the rule, over which sections of the subset win, over which its own ports win', () => {
    expect(Object.keys(service.subsets['v1']!.portPolicies ?? {})).to.deep.equal(['9090'])
    expect(Object.keys(service.subsets['v2']!.portPolicies ?? {})).to.deep.equal(['80', '9090'])
    expect(service.subsets['v2']!.portPolicies!['80']!.loadBalancer.kind).to.equal('random')
    expect(service.subsets['v2']!.portPolicies!['9090']!.pool.maxConnections, 'the section of the subset').to.equal(2)
  })

  it('know where each value came from', () => {
    const paths = (policy: TrafficPolicySpec) =>
      Object.fromEntries(Object.entries(policy.origins).map(([path, origin]) => [path, origin.path]))
    expect(paths(service.policy)).to.deep.equal({
      loadBalancer: 'spec.trafficPolicy.loadBalancer.simple',
      'pool.maxConnections': 'spec.trafficPolicy.connectionPool.tcp.maxConnections',
      'pool.connectTimeoutMs': 'spec.trafficPolicy.connectionPool.tcp.connectTimeout',
      proxyProtocol: 'spec.trafficPolicy.proxyProtocol',
    })
    expect(paths(service.subsets['v2']!.policy)['pool.maxConnections']).to.equal(
      'spec.subsets[1].trafficPolicy.connectionPool.tcp.maxConnections',
    )
    expect(paths(service.portPolicies['9090']!)['pool.maxConnections']).to.equal(
      'spec.trafficPolicy.portLevelSettings[0].connectionPool.tcp.maxConnections',
    )
  })
})
