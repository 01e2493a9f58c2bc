import { expect } from 'chai'
import { endpointAt, type Endpoint, type ServiceKey } from '../../../../../contracts/endpoint.ts'
import type { Plain } from '../../../../../contracts/envoy-api/message-form.ts'
import { encodeMessage } from '../../../../../contracts/envoy-api/encode.ts'
import { assignment } from '../../../../../global-mesh-center/xds/envoy/assignment.ts'
import { cluster, clusterMessage } from '../../../../../global-mesh-center/xds/envoy/cluster.ts'
import {
  clusterName,
  parseClusterName,
  type ClusterRef,
  type Flavour,
} from '../../../../../global-mesh-center/xds/envoy/cluster-name.ts'
import { policyOf } from '../../../../../global-mesh-center/xds/envoy/destinations.ts'
import { namesOfService } from '../../../../../global-mesh-center/xds/envoy/names-of-service.ts'
import { virtualHost, virtualHostMessage } from '../../../../../global-mesh-center/xds/envoy/virtual-host.ts'
import { ruleStore } from '../../../../support/routing.ts'

const orders: ServiceKey = 'public/DEFAULT_GROUP@@orders'

function storeOf(...documents: readonly string[]) {
  const store = ruleStore()
  const { statuses } = store.replaceSource('rules.d', [{ name: 'a.yaml', text: documents.join('\n---\n') }])
  expect(statuses.flatMap(({ problems }) => problems)).to.deep.equal([])
  return store
}
function virtualService(http: string): string {
  return `apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: orders }\nspec:\n  hosts: [orders]\n  http:\n${http}`
}
function destinationRule(spec: string): string {
  return `apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { name: orders }\nspec:\n  host: orders\n${spec}`
}
/** What it says is also what can be encoded. */
function hostOf(documents: readonly string[], flavour: Flavour = 'outbound') {
  const store = storeOf(...documents)
  const { spec } = store.virtualHost(orders)
  const made = virtualHost(spec, ['orders'], flavour, (ref) => policyOf(store.service(ref.service), ref))
  expect(encodeMessage(virtualHostMessage, made.message).length).to.be.above(0)
  return { ...made, routes: made.message['routes'] as readonly (Plain & { match: Plain; route: Plain })[] }
}
function clusterOf(
  documents: readonly string[],
  change: Partial<ClusterRef> = {},
  protocol = 'http' as const,
  isMeshed = false,
) {
  const ref: ClusterRef = { flavour: 'outbound', service: orders, subset: undefined, port: undefined, ...change }
  const made = cluster({ ref, policy: policyOf(storeOf(...documents).service(orders), ref), protocol, isMeshed })
  expect(encodeMessage(clusterMessage, made.message).length).to.be.above(0)
  return made
}
const plain = '    - route: [{ destination: { host: orders } }]'

describe('names of clusters', () => {
  it('come back as they went, and are nothing else', () => {
    const ref: ClusterRef = { flavour: 'grpc', service: orders, subset: 'v1', port: 80 }
    expect(clusterName(ref)).to.equal('grpc|80|v1|public/DEFAULT_GROUP@@orders')
    expect(parseClusterName(clusterName(ref))).to.deep.equal(ref)
    for (const name of [orders, 'outbound|||orders', `inbound|||${orders}`, `outbound|x||${orders}`, ''])
      expect(parseClusterName(name), name).to.equal(undefined)
  })
})

describe('routes in the words of Envoy', () => {
  it('lead to clusters by weight, with the edits of each', () => {
    const { routes, clusters } = hostOf([
      virtualService(`    - route:
        - { destination: { host: orders, subset: v1 }, weight: 90 }
        - { destination: { host: orders, subset: v2 }, weight: 10, headers: { request: { set: { share: '10%' } } } }
      timeout: 2s`),
      destinationRule('  subsets: [{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }]'),
    ])
    const { weighted_clusters: weighted, timeout } = routes[0]!.route as { weighted_clusters: Plain; timeout: number }
    expect(timeout).to.equal(2000)
    expect(weighted['clusters']).to.deep.equal([
      { name: `outbound||v1|${orders}`, weight: 90 },
      {
        name: `outbound||v2|${orders}`,
        weight: 10,
        request_headers_to_add: [
          {
            header: { key: 'share', value: '10%%' },
            append_action: 'OVERWRITE_IF_EXISTS_OR_ADD',
            keep_empty_value: true,
          },
        ],
      },
    ])
    expect(clusters.map(clusterName)).to.deep.equal([`outbound||v1|${orders}`, `outbound||v2|${orders}`])
  })

  it('have no time of their own without one in the rule: Envoy would take 15 s', () => {
    expect(hostOf([virtualService(plain)]).routes[0]!.route['timeout']).to.equal(0)
  })

  it('match path, method, headers, their absence and the query', () => {
    const { routes } = hostOf([
      virtualService(`    - match:
        - uri: { prefix: /api }
          method: { exact: GET }
          headers: { a: { regex: 'x.*' } }
          withoutHeaders: { b: { exact: c } }
          queryParams: { q: { exact: '1' } }
        - uri: { exact: /whole }
          ignoreUriCase: true
      route: [{ destination: { host: orders } }]
      retries: { attempts: 0 }`),
    ])
    expect(routes.map(({ match }) => match)).to.deep.equal([
      {
        prefix: '/api',
        headers: [
          { name: ':method', string_match: { exact: 'GET' } },
          { name: 'a', string_match: { safe_regex: { regex: 'x.*' } } },
          {
            name: 'b',
            string_match: { exact: 'c' },
            invert_match: true,
            treat_missing_header_as_empty: true,
          },
        ],
        query_parameters: [{ name: 'q', string_match: { exact: '1' } }],
      },
      { path: '/whole', case_sensitive: false },
    ])
  })

  it('repeat for methods that are not idempotent what no endpoint has read, and no more', () => {
    const { routes } = hostOf([
      virtualService(`${plain}\n      retries: { attempts: 3, retryOn: '5xx,connect-failure', perTryTimeout: 1s }`),
    ])
    const policies = routes.map(({ route }) => route['retry_policy'] as Plain)
    expect(policies.map((one) => one['retry_on'])).to.deep.equal(['5xx,connect-failure', 'connect-failure'])
    expect(policies[0]).to.include({ num_retries: 3, per_try_timeout: 1000 })
    expect(routes[0]!.match['headers']).to.deep.equal([
      { name: ':method', string_match: { safe_regex: { regex: 'GET|HEAD|OPTIONS|TRACE|PUT|DELETE' } } },
    ])
    expect(routes[1]!.match['headers']).to.equal(undefined)
  })

  it('refuse everything where a rule guards in words that a proxy of another kind does not have', () => {
    const policy = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: nobody, namespace: istio-system }
spec:
  action: DENY
  targetRefs: [{ kind: Service, group: '', name: orders }]
  rules: [{ to: [{ operation: { paths: [/secret] } }] }]`
    const store = ruleStore()
    store.replaceSource('rules.d', [{ name: 'a.yaml', text: [virtualService(plain), policy].join('\n---\n') }])
    const spec = { ...store.virtualHost(orders).spec, authorization: { kind: 'any' } as never }
    const { message, leftOut, clusters } = virtualHost(spec, ['orders'], 'outbound', () => {
      throw new Error('no destination is looked at')
    })
    const [route] = message['routes'] as readonly Plain[]
    expect((route!['direct_response'] as Plain)['status']).to.equal(501)
    expect(leftOut).to.deep.equal(['policies about tokens and callers: every request is refused'])
    expect(clusters).to.deep.equal([])
  })

  it('leave out routes for callers of whom nothing is known, and say so', () => {
    const { routes, leftOut } = hostOf([
      virtualService(`    - match: [{ sourceLabels: { app: cart } }]
      redirect: { uri: /cart }
${plain}`),
    ])
    expect(routes.some((one) => 'redirect' in one)).to.equal(false)
    expect(leftOut).to.deep.equal(['a route for callers with certain labels, namespaces or claims: never taken'])
  })

  it('answer by themselves: redirects, bodies, faults and CORS', () => {
    const { routes } = hostOf([
      virtualService(`    - match: [{ uri: { prefix: /old } }]
      redirect: { uri: /new, authority: shop.example.com, redirectCode: 308 }
    - match: [{ uri: { prefix: /text } }]
      directResponse: { status: 203, body: { string: hello } }
    - route: [{ destination: { host: orders } }]
      fault: { abort: { httpStatus: 418, percentage: { value: 12.5 } }, delay: { fixedDelay: 50ms, percentage: { value: 100 } } }
      corsPolicy: { allowOrigins: [{ exact: 'https://a.example' }], maxAge: 1h }`),
    ])
    expect(routes[0]!['redirect']).to.deep.equal({
      response_code: 'PERMANENT_REDIRECT',
      path_redirect: '/new',
      host_redirect: 'shop.example.com',
    })
    expect(routes[1]!['direct_response']).to.deep.equal({ status: 203, body: { inline_string: 'hello' } })
    const filters = routes[2]!['typed_per_filter_config'] as Plain
    expect(filters['envoy.filters.http.fault']).to.deep.include({
      abort: { http_status: 418, percentage: { numerator: 125_000, denominator: 'MILLION' } },
      delay: { fixed_delay: 50, percentage: { numerator: 1_000_000, denominator: 'MILLION' } },
    })
    expect(filters['envoy.filters.http.cors']).to.deep.include({ max_age: '3600' })
  })

  it('hold for clients of gRPC only what these take: one field too many costs them all routes', () => {
    const { routes, leftOut } = hostOf(
      [
        virtualService(`    - match: [{ uri: { prefix: /old } }]
      redirect: { uri: /new }
    - route: [{ destination: { host: orders } }]
      retries: { attempts: 2, retryOn: 'unavailable,5xx' }
      rewrite: { uri: /x }
      timeout: 1s`),
      ],
      'grpc',
    )
    expect(routes[0]!.route, 'a destination without endpoints').to.deep.equal({ cluster: `grpc|0||${orders}` })
    expect(routes[1]!.route).to.deep.equal({
      cluster: `grpc|||${orders}`,
      max_stream_duration: { max_stream_duration: 1000 },
      retry_policy: {
        retry_on: 'unavailable',
        num_retries: 2,
        retry_back_off: { base_interval: 25, max_interval: 250 },
      },
    })
    expect(leftOut).to.include.members([
      'redirect: calls of gRPC are refused',
      'rewrites and mirrors: clients of gRPC do neither',
      'retries for conditions of HTTP: clients of gRPC repeat for statuses of gRPC',
    ])
  })
})

describe('clusters in the words of Envoy', () => {
  it('have the policy of their subset', () => {
    const { message, leftOut } = clusterOf(
      [
        destinationRule(`  trafficPolicy:
    loadBalancer: { simple: ROUND_ROBIN }
    connectionPool: { tcp: { maxConnections: 7, connectTimeout: 30ms } }
    outlierDetection: { consecutive5xxErrors: 5, interval: 10s, baseEjectionTime: 30s }
  subsets: [{ name: v1, labels: { version: v1 }, trafficPolicy: { loadBalancer: { simple: RANDOM } } }]`),
      ],
      { subset: 'v1' },
    )
    expect(message).to.deep.include({ name: `outbound||v1|${orders}`, type: 'EDS', lb_policy: 'RANDOM' })
    expect(message).to.deep.include({ connect_timeout: 30 })
    const [thresholds] = (message['circuit_breakers'] as { thresholds: readonly Plain[] }).thresholds
    expect(thresholds).to.include({ max_connections: 7 })
    expect(message['outlier_detection']).to.include({ consecutive_5xx: 5, enforcing_consecutive_5xx: 100 })
    expect(leftOut).to.deep.equal([])
  })

  it('are not called where a rule asks for TLS that is not said, rather than called in plain', () => {
    const rule = destinationRule('  trafficPolicy: { tls: { mode: SIMPLE, sni: orders.example.com } }')
    const { message, leftOut } = clusterOf([rule])
    expect(message).to.deep.include({ type: 'STATIC' })
    expect(leftOut).to.deep.equal(['tls simple: the destination gets no requests'])
  })

  it('of a proxy with an identity are called in mutual TLS where endpoints take it, by secrets of the center', () => {
    const { message, leftOut } = clusterOf([], {}, 'http', true)
    const [match] = message['transport_socket_matches'] as readonly Plain[]
    expect(match).to.deep.include({ match: { tlsMode: 'istio' } })
    const text = JSON.stringify(match)
    for (const words of ['"name":"default"', '"name":"ROOTCA"', '"prefix":"spiffe://"', '"http/1.1"', 'TLSv1_3'])
      expect(text).to.contain(words)
    expect(leftOut).to.deep.equal([])
    expect(clusterOf([]).message).to.not.have.any.keys('transport_socket', 'transport_socket_matches')
  })

  it('of a rule that says ISTIO_MUTUAL are called in nothing else, by the names that it allows', () => {
    const names = 'subjectAltNames: [spiffe://a/ns/b/sa/c, "spiffe://a/ns/d/*"]'
    const rule = destinationRule(`  trafficPolicy: { tls: { mode: ISTIO_MUTUAL, sni: orders.example.com, ${names} } }`)
    const { message } = clusterOf([rule], {}, 'http', true)
    const text = JSON.stringify(message['transport_socket'])
    expect(text).to.contain('"sni":"orders.example.com"')
    expect(text).to.contain('{"exact":"spiffe://a/ns/b/sa/c"}').and.to.contain('{"prefix":"spiffe://a/ns/d/"}')
    expect(message).to.not.have.property('transport_socket_matches')
    const without = clusterOf([rule])
    expect(without.message).to.deep.include({ type: 'STATIC' })
    expect(without.leftOut).to.deep.equal(['tls mutual: the destination gets no requests'])
    const off = destinationRule('  trafficPolicy: { tls: { mode: DISABLE } }')
    expect(clusterOf([off], {}, 'http', true).message).to.not.have.any.keys(
      'transport_socket',
      'transport_socket_matches',
    )
  })

  it('name what they leave out', () => {
    const policy = `apiVersion: hostmesh.io/v1
kind: MeshPolicy
metadata: { name: all }
spec:
  hosts: [orders]
  loadBalancer: { peakEwma: {} }`
    const store = ruleStore()
    const { statuses } = store.replaceSource('rules.d', [{ name: 'a.yaml', text: policy }])
    expect(statuses.flatMap(({ problems }) => problems)).to.deep.equal([])
    const ref: ClusterRef = { flavour: 'outbound', service: orders, subset: undefined, port: undefined }
    const { message, leftOut } = cluster({
      ref,
      policy: policyOf(store.service(orders), ref),
      protocol: 'http',
      isMeshed: false,
    })
    expect(message).to.deep.include({ lb_policy: 'LEAST_REQUEST' })
    expect(leftOut).to.deep.equal(['peak-ewma: least-request is used'])
  })
})

describe('endpoints in the words of Envoy', () => {
  const at = (port: number, known: Partial<Endpoint> = {}): Endpoint => endpointAt('10.0.0.1', port, known)
  const portsOf = ({ message }: { message: Plain }): number[] =>
    (
      message['endpoints'] as { lb_endpoints: readonly { endpoint: { address: { socket_address: Plain } } }[] }[]
    ).flatMap(({ lb_endpoints: list }) =>
      list.map(({ endpoint }) => Number(endpoint.address.socket_address['port_value'])),
    )
  const view = (endpoints: readonly Endpoint[], labels?: Readonly<Record<string, string>>) =>
    assignment({ clusterName: 'c', endpoints, labels, port: undefined, tls: undefined, isMeshed: false })

  it('are those of the subset that may be called; what takes mutual TLS alone is left out, and told', () => {
    const made = view(
      [
        at(1, { version: 'v1' }),
        at(2, { version: 'v2' }),
        at(3, { version: 'v1', enabled: false }),
        at(4, { version: 'v1', weight: 0 }),
        at(5, { version: 'v1', metadata: { 'hostmesh.mtls': 'strict' } }),
      ],
      { version: 'v1' },
    )
    expect(portsOf(made)).to.deep.equal([1])
    expect(made.leftOut).to.deep.equal(['1 endpoints that take mutual TLS alone'])
  })

  it('say of themselves that they take mutual TLS, to a proxy with an identity; STRICT ones are there for it', () => {
    const agent = (mtls: string) => ({ metadata: { 'hostmesh.inbound': 'true', 'hostmesh.mtls': mtls } })
    const endpoints = [at(1), at(2, agent('permissive')), at(3, agent('strict'))]
    const of = (mode: 'disable' | undefined, isMeshed: boolean) => {
      const tls = mode === undefined ? undefined : { mode }
      const made = assignment({ clusterName: 'c', endpoints, labels: undefined, port: undefined, tls, isMeshed })
      const list = (made.message['endpoints'] as { lb_endpoints: readonly Plain[] }[]).flatMap(
        (one) => one.lb_endpoints,
      )
      return { ports: portsOf(made), marked: list.map((one) => JSON.stringify(one).includes('"tlsMode":"istio"')) }
    }
    expect(of(undefined, true)).to.deep.equal({ ports: [1, 2, 3], marked: [false, true, true] })
    expect(of(undefined, false)).to.deep.equal({ ports: [1, 2], marked: [false, false] })
    expect(of('disable', true).ports).to.deep.equal([1, 2])
  })

  it('stand by place, each place as heavy as what is in it', () => {
    const { message } = view([
      at(1, { weight: 2, locality: { region: 'bj', zone: '1' } }),
      at(2, { locality: { region: 'bj', zone: '2' }, healthy: false }),
      at(3, { weight: 0.5, locality: { region: 'bj', zone: '1' } }),
    ])
    const places = message['endpoints'] as readonly Plain[]
    expect(places.map((one) => [one['locality'], one['load_balancing_weight']])).to.deep.equal([
      [{ region: 'bj', zone: '1' }, 250],
      [{ region: 'bj', zone: '2' }, 100],
    ])
    expect((places[1]!['lb_endpoints'] as readonly Plain[])[0]).to.include({ health_status: 'UNHEALTHY' })
  })
})

describe('names of services in Host', () => {
  it('are what reads as the service, and what rules declare', () => {
    const store = storeOf(virtualService(plain).replace('[orders]', '[orders, Orders.example.com]'))
    expect(namesOfService(orders, ['Orders.example.com'], store, 'cluster.local')).to.include.members([
      'orders',
      'orders.example.com',
      'orders.default_group',
      'orders.public.svc.cluster.local',
    ])
  })
})
