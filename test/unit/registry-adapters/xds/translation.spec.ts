/** What resources of Envoy's API become here, and which are not taken. */
import { expect } from 'chai'
import type { ServiceName } from '../../../../contracts/endpoint.ts'
import type { RegistryAdapter, RuleCollection } from '../../../../contracts/registry-adapter.ts'
import { RuleStore } from '../../../../agent/control/core/rules/rule-store.ts'
import { createXdsAdapter } from '../../../../registry-adapters/xds/index.ts'
import { eventually, recordedDeps, recordingListener } from '../../../support/registry-listener.ts'
import { assignment, cluster, listener, routes, type Resource } from '../../../support/xds/control-plane.ts'
import { SaidPlane } from '../../../support/xds/said-plane.ts'

const service = (name: string): ServiceName => ({ namespace: 'public', group: 'DEFAULT_GROUP', name })
const key = (name: string): string => `public/DEFAULT_GROUP@@${name}`
const instances = [{ address: '10.0.0.1', port: 8080 }]
const every = { prefix: '/' }
const to = (name: string): object => ({ cluster: name })
const common = { route: [{ destination: { host: key('v1') } }], timeout: '15000ms', retries: { attempts: 0 } }
const httpOptions = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'

describe('resources of a control plane', function () {
  this.timeout(60_000)
  let plane: SaidPlane
  let adapter: RegistryAdapter
  let rules: readonly RuleCollection[]
  before(async () => {
    plane = await SaidPlane.start()
  })
  beforeEach(() => {
    rules = []
    plane.forget()
    adapter = createXdsAdapter(
      {
        name: 'envoys',
        servers: [{ host: '127.0.0.1', port: plane.port }],
        namespace: 'public',
        group: 'DEFAULT_GROUP',
        node: 'host-1',
        cluster: 'hostmesh',
        tls: () => undefined,
        token: () => undefined,
        maxEndpoints: 10_000,
      },
      recordedDeps(),
    )
    adapter.rules!.watch((collections) => (rules = collections))
    adapter.rules!.want!(['orders', 'v1', 'v2', 'edge', 'ledger'].map(service))
    adapter.start()
  })
  afterEach(() => adapter.close())
  after(() => plane?.close())

  const clusters = [cluster('v1'), assignment('v1', instances), cluster('v2'), assignment('v2', instances)]

  /** The specs of this kind, once there are as many; the compiler takes each of them. */
  async function specs(kind: string, count: number): Promise<readonly Readonly<Record<string, unknown>>[]> {
    const found = (): string[] => rules.flatMap(({ name, text }) => (name.startsWith(`${kind} `) ? [text!] : []))
    await eventually(
      () => found().length === count,
      () => `${count} of ${kind}; ${JSON.stringify(rules)} ${JSON.stringify(plane.requests.map((one) => one.error))}`,
    )
    const { statuses } = new RuleStore({ namespace: 'public', group: 'DEFAULT_GROUP' }).replaceSource(
      'xds',
      rules.map(({ name, text }) => ({ name, text: text! })),
    )
    const problems = statuses.flatMap((one) => (one.state === 'rejected' ? one.problems : []))
    expect(problems, rules.map(({ text }) => text).join('\n')).to.deep.equal([])
    return found().map((text) => (JSON.parse(text) as { spec: Record<string, unknown> }).spec)
  }

  /** What one route becomes. */
  async function become(route: object, host: object = {}): Promise<unknown> {
    plane.say([...clusters, listener('edge', 'r'), routes('r', ['orders'], [route], host)])
    const [spec] = await specs('VirtualService', 1)
    expect(spec?.['hosts']).to.deep.equal([key('orders')])
    return (spec?.['http'] as unknown[] | undefined)?.[0]
  }

  /** The refusal that these resources meet. */
  async function refused(type: string, ...resources: readonly Resource[]): Promise<string> {
    plane.say(resources)
    await eventually(() => plane.refusals(type).length > 0, `a refusal of ${type}`)
    return plane.refusals(type)[0]!
  }

  const forwards: readonly (readonly [string, object, object, object?])[] = [
    ['a route to a cluster, with what an Envoy does by itself', { match: every, route: to('v1') }, common],
    [
      'shares of several clusters',
      {
        match: every,
        route: {
          weightedClusters: {
            clusters: [
              { name: 'v1', weight: 90, requestHeadersToAdd: [{ header: { key: 'x-a', value: '1' } }] },
              { name: 'v2', weight: 10 },
            ],
          },
        },
      },
      {
        ...common,
        route: [
          { destination: { host: key('v1') }, weight: 90, headers: { request: { add: { 'x-a': '1' } } } },
          { destination: { host: key('v2') }, weight: 10 },
        ],
      },
    ],
    [
      'conditions',
      {
        match: {
          prefix: '/api',
          caseSensitive: false,
          headers: [
            { name: ':method', stringMatch: { exact: 'GET' } },
            { name: 'x-version', stringMatch: { suffix: '.beta' } },
            { name: 'X-Debug', presentMatch: true },
            { name: 'x-no', stringMatch: { prefix: 'a' }, invertMatch: true },
          ],
          queryParameters: [{ name: 'q', stringMatch: { exact: '1' } }],
        },
        route: to('v1'),
      },
      {
        match: [
          {
            uri: { prefix: '/api' },
            ignoreUriCase: true,
            method: { exact: 'GET' },
            headers: { 'x-version': { regex: '.*\\.beta' }, 'x-debug': {} },
            withoutHeaders: { 'x-no': { prefix: 'a' } },
            queryParams: { q: { exact: '1' } },
          },
        ],
        ...common,
      },
    ],
    [
      'a folder of paths',
      { match: { pathSeparatedPrefix: '/api' }, route: to('v1') },
      { match: [{ uri: { exact: '/api' } }, { uri: { prefix: '/api/' } }], ...common },
    ],
    [
      'time, retries, rewrites and a mirror',
      {
        match: { path: '/a' },
        route: {
          ...to('v1'),
          timeout: '1.5s',
          prefixRewrite: '/b',
          hostRewriteLiteral: 'b.example',
          retryPolicy: {
            retryOn: 'connect-failure,retriable-status-codes',
            numRetries: 3,
            retriableStatusCodes: [502, 503],
            perTryTimeout: '0.2s',
          },
          requestMirrorPolicies: [
            { cluster: 'v2', runtimeFraction: { defaultValue: { numerator: 5, denominator: 'TEN_THOUSAND' } } },
          ],
        },
      },
      {
        match: [{ uri: { exact: '/a' } }],
        route: common.route,
        timeout: '1500ms',
        retries: {
          attempts: 3,
          retryOn: 'connect-failure,retriable-status-codes,502,503',
          perTryTimeout: '200ms',
        },
        mirrors: [{ destination: { host: key('v2') }, percentage: { value: 0.05 } }],
        rewrite: { uri: '/b', authority: 'b.example' },
      },
    ],
    [
      'a redirect',
      {
        match: every,
        redirect: { hostRedirect: 'b.example', responseCode: 'PERMANENT_REDIRECT', httpsRedirect: true },
      },
      { redirect: { redirectCode: 308, authority: 'b.example', scheme: 'https' } },
    ],
    [
      'an answer of its own',
      { match: every, directResponse: { status: 418, body: { inlineString: 'tea' } } },
      { directResponse: { status: 418, body: { string: 'tea' } } },
    ],
    [
      'codes without their word, which count for nothing',
      {
        match: every,
        route: {
          ...to('v1'),
          retryPolicy: { retryOn: 'connect-failure, reset', numRetries: 3, retriableStatusCodes: [503] },
        },
      },
      { ...common, retries: { attempts: 3, retryOn: 'connect-failure,reset' } },
    ],
    [
      'codes without any word, of which nothing is tried again',
      { match: every, route: { ...to('v1'), retryPolicy: { numRetries: 3, retriableStatusCodes: [503] } } },
      common,
    ],
    [
      'headers and retries of the virtual host',
      {
        match: every,
        route: to('v1'),
        responseHeadersToAdd: [{ header: { key: 'x-a', value: '50%%' }, appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' }],
      },
      {
        headers: { request: { remove: ['x-secret'] }, response: { set: { 'x-a': '50%' } } },
        ...common,
        retries: { attempts: 1, retryOn: '5xx' },
      },
      { requestHeadersToRemove: ['x-secret'], retryPolicy: { retryOn: '5xx' } },
    ],
  ]
  for (const [title, route, expected, host] of forwards)
    it(`become rules: ${title}`, async () => {
      expect(await become(route, host)).to.deep.equal(expected)
    })

  it('become rules: headers of requests that are not forwarded are left out', async () => {
    const redirect = { match: every, redirect: { pathRedirect: '/there' } }
    expect(await become(redirect, { requestHeadersToRemove: ['x-secret'] })).to.deep.equal({
      redirect: { redirectCode: 301, uri: '/there' },
    })
  })

  it('become rules of the listener for every name, as gRPC and single ports have it', async () => {
    plane.say([...clusters, listener('orders', 'r'), routes('r', ['*'], [{ match: every, route: to('v1') }])])
    const [spec] = await specs('VirtualService', 1)
    expect(spec?.['hosts']).to.deep.equal([key('orders')])
  })

  it('become rules of raw connections', async () => {
    const proxy = 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy'
    const tcp = {
      ...listener('ledger', ''),
      filterChains: [{ filters: [{ name: 't', typedConfig: { '@type': proxy, statPrefix: 't', cluster: 'v1' } }] }],
    }
    plane.say([...clusters, tcp])
    const [spec] = await specs('VirtualService', 1)
    expect(spec).to.deep.equal({
      hosts: [key('ledger')],
      tcp: [{ route: [{ destination: { host: key('v1') }, weight: 1 }] }],
    })
  })

  it('become policies of clusters, of the services in use alone', async () => {
    const much = cluster('v1', {
      connectTimeout: '0.25s',
      lbPolicy: 'LEAST_REQUEST',
      circuitBreakers: { thresholds: [{ maxConnections: 10, maxRequests: 4294967295 }] },
      outlierDetection: { consecutive_5xx: 3, baseEjectionTime: '60s' },
      typedExtensionProtocolOptions: {
        [httpOptions]: {
          '@type': `type.googleapis.com/${httpOptions}`,
          explicitHttpConfig: { http2ProtocolOptions: {} },
        },
      },
    })
    plane.say([much, assignment('v1', instances), cluster('other'), assignment('other', instances)])
    const [spec] = await specs('DestinationRule', 1)
    expect(spec).to.deep.equal({
      host: key('v1'),
      trafficPolicy: {
        loadBalancer: { simple: 'LEAST_REQUEST' },
        connectionPool: {
          tcp: { connectTimeout: '250ms', maxConnections: 10 },
          http: { h2UpgradePolicy: 'UPGRADE' },
        },
        outlierDetection: {
          consecutive5xxErrors: 3,
          consecutiveGatewayErrors: 0,
          interval: '10000ms',
          baseEjectionTime: '60000ms',
          maxEjectionPercent: 10,
        },
      },
    })
  })

  it('become endpoints: weight, health, place and labels, of EDS and of the cluster itself', async () => {
    const one = (address: string, more: object): object => ({
      endpoint: { address: { socketAddress: { address, portValue: 80 } } },
      ...more,
    })
    const lbEndpoints = [
      one('10.0.0.1', {
        loadBalancingWeight: 7,
        metadata: { filterMetadata: { 'envoy.lb': { version: 'v1', canary: true } } },
      }),
      one('10.0.0.2', { healthStatus: 'UNHEALTHY' }),
      one('10.0.0.3', { healthStatus: 'DRAINING' }),
    ]
    const endpoints = [{ locality: { region: 'eu', zone: 'eu-1' }, lbEndpoints }]
    plane.say([
      cluster('v1'),
      { ...assignment('v1', []), endpoints },
      {
        ...cluster('v2'),
        type: 'STATIC',
        edsClusterConfig: undefined,
        loadAssignment: { clusterName: 'v2', endpoints },
      },
    ])
    for (const name of ['v1', 'v2']) {
      const heard = recordingListener()
      adapter.subscribe(service(name), heard)
      const { endpoints: found } = await heard.until((set) => set.endpoints.length === 3, 'three endpoints')
      expect(
        found.map(({ enabled, healthy, locality, version, weight }) => [
          weight,
          healthy,
          enabled,
          version,
          locality.zone,
        ]),
      ).to.deep.equal([
        [7, true, true, 'v1', 'eu-1'],
        [1, false, true, '', 'eu-1'],
        [1, true, false, '', 'eu-1'],
      ])
      expect(found[0]?.metadata).to.deep.equal({ version: 'v1', canary: 'true' })
    }
  })

  const refusals: readonly (readonly [string, Resource[], string])[] = [
    ['Cluster', [cluster('a/b')], 'cluster a/b: name: allowed letters, digits and . _ : $ -'],
    ['Cluster', [{ ...cluster('a'), type: 'STRICT_DNS' }], 'cluster a: type: found STRICT_DNS, allowed EDS and STATIC'],
    ['Cluster', [cluster('a', { lbPolicy: 'RING_HASH' })], 'lb_policy: found RING_HASH'],
    ['Cluster', [cluster('a', { healthChecks: [{ timeout: '1s' }] })], 'cluster a: health_checks: not supported'],
    ['Cluster', [cluster('a', { connectTimeout: '-1s' })], 'cluster a: connect_timeout: found'],
    [
      'ClusterLoadAssignment',
      [cluster('a'), assignment('a', instances, { priority: 1 })],
      'endpoints a: endpoints[0].priority: found 1, allowed 0',
    ],
    [
      'ClusterLoadAssignment',
      [cluster('a'), assignment('a', [{ address: 'db.example', port: 1 }])],
      'endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address: found "db.example", allowed an IP address',
    ],
    [
      'Listener',
      [
        listener('a', 'r', {
          httpFilters: [
            {
              name: 'f',
              typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault' },
            },
          ],
        }),
      ],
      'listener a: filter_chains[0].filters[0].typed_config.http_filters[0]: f (envoy.extensions.filters.http.fault.v3.HTTPFault) is not supported',
    ],
    ['Listener', [{ ...listener('a', 'r'), useOriginalDst: true }], 'listener a: use_original_dst: not supported'],
    [
      'RouteConfiguration',
      [listener('a', 'r'), routes('r', ['b'], [{ match: every, route: { clusterHeader: 'x' } }])],
      'route r: virtual_hosts[0].routes[0].route.cluster_header: not supported',
    ],
    [
      'RouteConfiguration',
      [listener('a', 'r'), routes('r', ['b.*'], [{ match: every, route: to('v1') }])],
      'virtual_hosts[0].domains[0]: found "b.*", allowed a name, *.suffix or *',
    ],
    [
      'RouteConfiguration',
      [
        listener('a', 'r'),
        routes(
          'r',
          ['b'],
          [{ match: every, route: to('v1'), requestHeadersToAdd: [{ header: { key: 'a', value: '%REQ(b)%' } }] }],
        ),
      ],
      'routes[0].request_headers_to_add[0].header.value: found a %COMMAND%',
    ],
  ]
  for (const [type, resources, expected] of refusals)
    it(`are refused by name: ${expected}`, async () => {
      expect(await refused(type, ...resources)).to.contain(expected)
    })

  it('that are bad leave the last good ones in force, until they are good again', async () => {
    const route = { match: every, route: to('v1') }
    expect(await become(route)).to.deep.equal(common)
    await refused(
      'RouteConfiguration',
      ...clusters,
      listener('edge', 'r'),
      routes('r', ['orders'], [{ match: every, route: { clusterHeader: 'x' } }]),
    )
    expect((await specs('VirtualService', 1))[0]?.['http']).to.deep.equal([common])
    plane.say([...clusters, listener('edge', 'r'), routes('r', ['orders'], [{ match: every, route: to('v2') }])])
    const isThere = (): boolean =>
      rules.some(({ name, text }) => name.startsWith('VirtualService ') && text!.includes(`"host":"${key('v2')}"`))
    await eventually(isThere, 'the new route')
    expect(adapter.status().problem?.message).to.equal(undefined)
  })
})
