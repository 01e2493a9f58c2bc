import { expect } from 'chai'
import type { HttpRouteSpec } from '../../../../../../contracts/route-spec.ts'
import { key, orders, ordersRoutes, resource, rules } from '../../../../../support/routing.ts'

function firstRoute(http: string): HttpRouteSpec {
  return rules(ordersRoutes(http)).virtualHost(orders).spec.http[0]!
}

const toOrders = 'route: [{ destination: { host: orders } }]'

describe('a VirtualService', () => {
  describe('match', () => {
    const matchOf = (match: string) => firstRoute(`- match: [${match}]\n  ${toOrders}`).matches[0]

    it('takes uri as exact, prefix or regex, with or without case', () => {
      expect(matchOf('{ uri: { exact: /a } }')).to.deep.equal({ uri: { exact: '/a' } })
      expect(matchOf('{ uri: { prefix: /a } }')).to.deep.equal({ uri: { prefix: '/a' } })
      expect(matchOf('{ uri: { regex: "/a[0-9]+" } }')).to.deep.equal({ uri: { regex: '/a[0-9]+' } })
      expect(matchOf('{ uri: { prefix: /a }, ignoreUriCase: true }')).to.deep.equal({
        uri: { prefix: '/a' },
        ignoreUriCase: true,
      })
    })

    it('takes method, scheme, authority, port and name', () => {
      expect(
        matchOf(
          '{ name: m, method: { exact: GET }, scheme: { exact: http }, authority: { prefix: shop }, port: 8080 }',
        ),
      ).to.deep.equal({
        name: 'm',
        method: { exact: 'GET' },
        scheme: { exact: 'http' },
        authority: { prefix: 'shop' },
        port: 8080,
      })
    })

    it('takes headers in any case, their presence, and headers that must not be there', () => {
      expect(
        matchOf(
          '{ headers: { X-User: { exact: bob }, end: {} }, withoutHeaders: { X-Old: {}, x-env: { prefix: t } } }',
        ),
      ).to.deep.equal({
        headers: { 'x-user': { exact: 'bob' }, end: { present: true } },
        withoutHeaders: { 'x-old': { present: true }, 'x-env': { prefix: 't' } },
      })
    })

    it('takes query parameters, labels and namespace of the caller', () => {
      expect(
        matchOf('{ queryParams: { v: { exact: "1" }, w: {} }, sourceLabels: { app: cart }, sourceNamespace: prod }'),
      ).to.deep.equal({
        queryParams: { v: { exact: '1' }, w: { present: true } },
        sourceLabels: { app: 'cart' },
        sourceNamespace: 'prod',
      })
    })
  })

  it('has weighted destinations with subset, port and header edits; weight 0 is left out', () => {
    const { action } = firstRoute(`
- route:
  - destination: { host: orders, subset: v2, port: { number: 8080 } }
    weight: 10
    headers: { request: { set: { X-Canary: "1" } }, response: { remove: [server] } }
  - destination: { host: PAYMENTS@@orders }
    weight: 90
  - destination: { host: prod/PAYMENTS@@orders }
    weight: 0`)
    expect(action).to.deep.equal({
      kind: 'forward',
      destinations: [
        {
          service: orders,
          weight: 10,
          subset: 'v2',
          port: 8080,
          requestHeaders: { set: [['x-canary', '1']], add: [], remove: [] },
          responseHeaders: { set: [], add: [], remove: ['server'] },
        },
        { service: 'public/PAYMENTS@@orders', weight: 90 },
      ],
    })
  })

  it('rewrites uri and authority, or the uri by a regex', () => {
    expect(
      firstRoute(`- rewrite: { uri: /v2, authority: "shop.example.com:80" }\n  ${toOrders}`).rewrite,
    ).to.deep.equal({
      uri: '/v2',
      authority: 'shop.example.com:80',
    })
    expect(
      firstRoute(`- rewrite: { uriRegexRewrite: { match: "^/a/(.*)$", rewrite: '/b/\\1' } }\n  ${toOrders}`).rewrite,
    ).to.deep.equal({ uriRegex: { match: '^/a/(.*)$', rewrite: '/b/\\1' } })
  })

  it('redirects: uri, authority, scheme, code, port, derived port', () => {
    expect(
      firstRoute('- redirect: { uri: /new?a=1, authority: b.example.com, redirectCode: 308 }').action,
    ).to.deep.equal({
      kind: 'redirect',
      status: 308,
      uri: '/new?a=1',
      authority: 'b.example.com',
    })
    expect(firstRoute('- redirect: { scheme: https, port: 8443 }').action).to.deep.equal({
      kind: 'redirect',
      status: 301,
      scheme: 'https',
      port: 8443,
    })
    expect(firstRoute('- redirect: { derivePort: FROM_REQUEST_PORT }').action).to.include({ port: 'from-request' })
    expect(firstRoute('- redirect: { derivePort: FROM_PROTOCOL_DEFAULT }').action).to.include({
      port: 'from-protocol-default',
    })
  })

  it('answers directly with text, JSON, bytes or nothing', () => {
    expect(firstRoute('- directResponse: { status: 503, body: { string: closed } }').action).to.deep.equal({
      kind: 'direct',
      status: 503,
      body: 'closed',
      contentType: 'text/plain',
    })
    expect(firstRoute(`- directResponse: { status: 200, body: { string: '{"a":1}' } }`).action).to.include({
      contentType: 'application/json',
    })
    expect(firstRoute('- directResponse: { status: 200, body: { bytes: aGk= } }').action).to.include({
      body: 'aGk=',
      bodyIsBase64: true,
    })
    expect(firstRoute('- directResponse: { status: 204 }').action).to.include({ body: '' })
  })

  it('reads timeouts as Istio writes them; 0s and nothing mean none', () => {
    const timeouts = { '1.5s': 1500, '2m': 120_000, '1h30m': 5_400_000, '250ms': 250, '0s': 0 }
    for (const [text, ms] of Object.entries(timeouts)) {
      expect(firstRoute(`- timeout: ${text}\n  ${toOrders}`).timeoutMs, text).to.equal(ms)
    }
    expect(firstRoute(`- ${toOrders}`).timeoutMs).to.equal(0)
  })

  it('retries as told, as Istio does without a word, and not at all with 0 attempts', () => {
    expect(
      firstRoute(
        `- retries: { attempts: 3, perTryTimeout: 2s, retryOn: "gateway-error, 503,reset", backoff: 10ms }\n  ${toOrders}`,
      ).retry,
    ).to.deep.equal({
      attempts: 3,
      perTryTimeoutMs: 2000,
      on: ['gateway-error', 'reset', 'retriable-status-codes'],
      statuses: [503],
      backoffMs: 10,
    })
    const byDefault = {
      attempts: 2,
      perTryTimeoutMs: 0,
      on: ['connect-failure', 'refused-stream', 'reset-before-request', 'reset-before-reply'],
      statuses: [],
      backoffMs: 25,
    }
    expect(firstRoute(`- ${toOrders}`).retry).to.deep.equal(byDefault)
    expect(firstRoute(`- retries: { attempts: 1 }\n  ${toOrders}`).retry).to.deep.equal({ ...byDefault, attempts: 1 })
    expect(firstRoute(`- retries: { attempts: 0 }\n  ${toOrders}`)).to.not.have.property('retry')
  })

  it('injects faults by percentage, and without one into no request, as Istio does', () => {
    expect(
      firstRoute(`
- fault: { delay: { fixedDelay: 2s, percentage: { value: 12.5 } }, abort: { httpStatus: 503 } }
  ${toOrders}`).filters,
    ).to.deep.equal([
      { kind: 'fault-delay', share: 0.125, fixedMs: 2000 },
      { kind: 'fault-abort', share: 0, status: 503 },
    ])
  })

  it('mirrors to one or several destinations by percentage', () => {
    expect(
      firstRoute(`- mirror: { host: shadow }\n  mirrorPercentage: { value: 5 }\n  ${toOrders}`).mirrors,
    ).to.deep.equal([{ destination: { service: key('shadow'), weight: 1 }, share: 0.05 }])
    expect(
      firstRoute(`
- mirrors: [{ destination: { host: a, subset: s } }, { destination: { host: b }, percentage: { value: 50 } }]
  ${toOrders}`).mirrors,
    ).to.deep.equal([
      { destination: { service: key('a'), weight: 1, subset: 's' }, share: 1 },
      { destination: { service: key('b'), weight: 1 }, share: 0.5 },
    ])
  })

  it('has a CORS policy', () => {
    expect(
      firstRoute(`
- corsPolicy:
    allowOrigins: [{ exact: https://a.example.com }, { regex: "https://.*" }]
    allowMethods: [GET, POST]
    allowHeaders: [x-a]
    exposeHeaders: [x-b]
    maxAge: 24h
    allowCredentials: true
    unmatchedPreflights: IGNORE
  ${toOrders}`).filters,
    ).to.deep.equal([
      {
        kind: 'cors',
        allowOrigins: [{ exact: 'https://a.example.com' }, { regex: 'https://.*' }],
        allowMethods: ['GET', 'POST'],
        allowHeaders: ['x-a'],
        exposeHeaders: ['x-b'],
        maxAgeMs: 86_400_000,
        allowCredentials: true,
        forwardUnmatchedPreflights: false,
      },
    ])
  })

  it('edits headers of requests and responses: set, add, remove', () => {
    const edited = firstRoute(`
- headers:
    request: { set: { X-A: a }, add: { x-b: b }, remove: [X-C] }
    response: { set: { x-d: "" } }
  ${toOrders}`)
    expect(edited.requestHeaders).to.deep.equal({ set: [['x-a', 'a']], add: [['x-b', 'b']], remove: ['x-c'] })
    expect(edited.responseHeaders).to.deep.equal({ set: [['x-d', '']], add: [], remove: [] })
  })

  it('routes TCP by port, networks and caller to weighted subsets', () => {
    const { tcp, http } = rules(
      resource(
        'VirtualService',
        `
hosts: [orders]
tcp:
- match:
  - { port: 20001, sourceSubnet: 10.0.0.0/8, destinationSubnets: [127.0.0.1], sourceLabels: { app: a }, sourceNamespace: n }
  route:
  - { destination: { host: orders, subset: v1 }, weight: 80 }
  - { destination: { host: orders, subset: v2 }, weight: 20 }
- route: [{ destination: { host: other } }]`,
      ),
    ).virtualHost(orders).spec
    expect(tcp).to.deep.equal([
      {
        name: 'tcp[0]',
        origin: { kind: 'VirtualService', name: 'public/orders', path: 'spec.tcp[0]' },
        matches: [
          {
            port: 20_001,
            sourceLabels: { app: 'a' },
            sourceNamespace: 'n',
            sourceSubnets: ['10.0.0.0/8'],
            destinationSubnets: ['127.0.0.1'],
          },
        ],
        destinations: [
          { service: orders, weight: 80, subset: 'v1' },
          { service: orders, weight: 20, subset: 'v2' },
        ],
      },
      {
        name: 'tcp[1]',
        origin: { kind: 'VirtualService', name: 'public/orders', path: 'spec.tcp[1]' },
        matches: [],
        destinations: [{ service: key('other'), weight: 100 }],
      },
    ])
    expect(
      http.map((one) => one.name),
      'HTTP without routes of its own keeps the implicit one',
    ).to.deep.equal(['default'])
  })

  it('names its routes or counts them, and knows where each came from', () => {
    const { http } = rules(ordersRoutes(`- name: first\n  ${toOrders}\n- ${toOrders}`)).virtualHost(orders).spec
    expect(http.map(({ name, origin }) => [name, origin.kind, origin.name, origin.path])).to.deep.equal([
      ['first', 'VirtualService', 'public/orders', 'spec.http[0]'],
      ['http[1]', 'VirtualService', 'public/orders', 'spec.http[1]'],
    ])
  })

  it('lists every service that it leads to', () => {
    const host = rules(ordersRoutes(`- mirror: { host: shadow }\n  route: [{ destination: { host: other } }]`))
    expect(host.virtualHost(orders).services).to.deep.equal([orders, key('other'), key('shadow')])
  })

  for (const version of ['v1', 'v1beta1', 'v1alpha3']) {
    it(`is read in networking.istio.io/${version}`, () => {
      rules(ordersRoutes(`- ${toOrders}`).replace('networking.istio.io/v1', `networking.istio.io/${version}`))
    })
  }
})
