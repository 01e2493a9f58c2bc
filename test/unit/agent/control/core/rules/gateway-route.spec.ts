import { expect } from 'chai'
import { matchRoute } from '../../../../../../agent/worker/route/virtual-host.ts'
import { compiled, key, orders, ordersRoutes, problemsOf, request, rules } from '../../../../../support/routing.ts'
import type { RequestTraits } from '../../../../../support/routing.ts'

const route = (kind: string, spec: string, name = 'r'): string =>
  `apiVersion: gateway.networking.k8s.io/v1\nkind: ${kind}\nmetadata: { name: ${name} }\nspec:\n${spec
    .split('\n')
    .map((line) => `  ${line}`)
    .join('\n')}\n`
const toOrders = 'parentRefs: [{ group: "", kind: Service, name: orders, port: 80 }]'
const http = (ruleList: string): string =>
  route('HTTPRoute', `parentRefs: [{ kind: Service, name: orders }]\nrules:\n${ruleList}`)

/** Services, or the answer, for a request. */
function outcome(text: string, traits: RequestTraits): string {
  const found = matchRoute(compiled(rules(text).virtualHost(orders).spec), request(traits))
  if (found === undefined) return 'no route'
  const { action } = found.spec
  if (action.kind !== 'forward') return `${action.kind} ${action.status}`
  const path = found.rewritePath === null ? '' : ` ${found.rewritePath(request(traits))}`
  return `${action.destinations.map(({ service, weight }) => `${service.split('@@')[1]}:${weight}`).join(' ')}${path}`
}

describe('an HTTPRoute with a Service as parent', () => {
  it('takes a prefix by whole parts, an exact path and a regular expression, the most specific first', () => {
    const text = http(`- matches: [{ path: { type: PathPrefix, value: /a } }]
  backendRefs: [{ name: prefix, port: 80 }]
- matches: [{ path: { type: PathPrefix, value: /a/b/ } }]
  backendRefs: [{ name: longer, port: 80 }]
- matches: [{ path: { type: Exact, value: /a/b } }]
  backendRefs: [{ name: exact, port: 80 }]
- matches: [{ path: { value: /a }, headers: [{ name: x-v, value: "2" }] }]
  backendRefs: [{ name: header, port: 80 }]
- backendRefs: [{ name: rest, port: 80, weight: 3 }, { name: other, port: 80 }]`)
    expect(outcome(text, { path: '/a' })).to.equal('prefix:1')
    expect(outcome(text, { path: '/a/x' })).to.equal('prefix:1')
    expect(outcome(text, { path: '/ab' })).to.equal('rest:3 other:1')
    expect(outcome(text, { path: '/a/b' })).to.equal('exact:1')
    expect(outcome(text, { path: '/a/b/c' })).to.equal('longer:1')
    expect(outcome(text, { path: '/a/x', headers: { 'x-v': '2' } })).to.equal('header:1')
  })

  it('answers 500 without a backend, redirects, rewrites, mirrors and edits headers', () => {
    expect(outcome(http('- matches: [{ method: GET }]'), {})).to.equal('direct 500')
    expect(outcome(http('- backendRefs: [{ name: a, weight: 0 }]'), {})).to.equal('direct 500')
    expect(outcome(http('- filters: [{ type: RequestRedirect, requestRedirect: { statusCode: 301 } }]'), {})).to.equal(
      'redirect 301',
    )
    const rewrite = (to: string): string =>
      http(
        `- matches: [{ path: { value: /a } }]\n  filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: ${to} } } }]\n  backendRefs: [{ name: x }]`,
      )
    expect(outcome(rewrite('/b'), { path: '/a/c' })).to.equal('x:1 /b/c')
    expect(outcome(rewrite('/b/'), { path: '/a' })).to.equal('x:1 /b')
    expect(outcome(rewrite('/'), { path: '/a/c' })).to.equal('x:1 /c')
    expect(outcome(rewrite('/'), { path: '/a' })).to.equal('x:1 /')
    const [full] = rules(
      http(`- filters:
  - { type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: X-A, value: b }], remove: [x-c] } }
  - { type: RequestMirror, requestMirror: { backendRef: { name: m }, percent: 25 } }
  timeouts: { request: 5s, backendRequest: 1s }
  retry: { codes: [503], attempts: 4, backoff: 10ms }
  backendRefs: [{ name: x, namespace: prod }]`),
    ).virtualHost(orders).spec.http
    expect(full!.requestHeaders).to.deep.equal({ set: [['x-a', 'b']], add: [], remove: ['x-c'] })
    expect(full!.mirrors).to.deep.equal([{ destination: { service: key('m'), weight: 1 }, share: 0.25 }])
    expect([full!.timeoutMs, full!.retry!.perTryTimeoutMs, full!.retry!.attempts, full!.retry!.statuses]).to.deep.equal(
      [5000, 1000, 4, [503]],
    )
    expect(full!.action.kind === 'forward' && full!.action.destinations[0]!.service).to.equal('prod/DEFAULT_GROUP@@x')
  })

  it('stands beside other routes of its service, and behind a VirtualService, which is told', () => {
    const one = http('- matches: [{ path: { value: /one } }]\n  backendRefs: [{ name: one }]')
    const two = route(
      'HTTPRoute',
      `${toOrders}\nrules: [{ matches: [{ path: { value: /two } }], backendRefs: [{ name: two }] }]`,
      's',
    )
    expect(outcome(`${one}---\n${two}`, { path: '/one' })).to.equal('one:1')
    expect(outcome(`${one}---\n${two}`, { path: '/two' }), 'port 80 of the parent').to.equal('two:1')
    expect(outcome(`${one}---\n${two}`, { path: '/two', host: 'orders:81' })).to.equal('no route')
    const virtual = ordersRoutes('- route: [{ destination: { host: virtual } }]')
    expect(outcome(`${one}---\n${virtual}`, { path: '/one' })).to.equal('virtual:100')
    expect(problemsOf(`${one}---\n${virtual}`)[0]).to.include('decided by VirtualService public/orders')
  })

  it('is refused without a Service, and by name where something is not implemented', () => {
    const refused = (spec: string): string => problemsOf(route('HTTPRoute', spec)).join('\n')
    expect(refused('parentRefs: [{ name: gateway }]\nrules: []')).to.include('no parent of kind Service')
    expect(refused(`${toOrders}\nrules: [{ sessionPersistence: {} }]`)).to.include(
      'not implemented by this version; use consistentHash',
    )
    expect(refused(`${toOrders}\nrules: [{ filters: [{ type: URLRewrite }] }]`)).to.include(
      'type URLRewrite, allowed beside it exactly urlRewrite',
    )
    expect(refused(`${toOrders}\nrules: [{ matchs: [] }]`)).to.include('unknown field (nearest: matches)')
  })
})

describe('a GRPCRoute and a TCPRoute with a Service as parent', () => {
  it('choose by service and method', () => {
    const text = route(
      'GRPCRoute',
      `${toOrders}\nrules:\n- matches: [{ method: { service: shop.Orders, method: Get } }]\n  backendRefs: [{ name: get }]\n- matches: [{ method: { service: shop.Orders } }]\n  backendRefs: [{ name: all }]\n- matches: [{ method: { method: Ping } }]\n  backendRefs: [{ name: ping }]`,
    )
    expect(outcome(text, { path: '/shop.Orders/Get' })).to.equal('get:1')
    expect(outcome(text, { path: '/shop.Orders/Put' })).to.equal('all:1')
    expect(outcome(text, { path: '/a.B/Ping' })).to.equal('ping:1')
    expect(outcome(text, { path: '/a.B/Pong' })).to.equal('no route')
  })

  it('lead connections by weight', () => {
    const [tcp] = rules(
      route(
        'TCPRoute',
        'parentRefs: [{ kind: Service, name: orders }]\nrules: [{ backendRefs: [{ name: a, weight: 2 }, { name: b }] }]',
      ),
    ).virtualHost(orders).spec.tcp
    expect(tcp!.destinations).to.deep.equal([
      { service: key('a'), weight: 2 },
      { service: key('b'), weight: 1 },
    ])
  })
})
