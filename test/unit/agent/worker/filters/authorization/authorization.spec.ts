import { expect } from 'chai'
import { wireText } from '../../../../../../contracts/wire-text.ts'
import { judged, policy } from '../../../../../support/authorization.ts'
import type { Asked } from '../../../../../support/authorization.ts'

const cart = 'cluster.local/ns/public/sa/cart'
const none = 'rbac_access_denied_matched_policy[none]'

/** Whether each request is allowed by one ALLOW policy with this rule, and denied by one DENY policy. */
function matches(rule: string, asked: Asked): { allow: boolean; deny: boolean } {
  const allow = judged(policy(`action: ALLOW\nrules: [${rule}]`))
  const deny = judged(policy(`action: DENY\nrules: [${rule}]`))
  return { allow: allow.ask(asked).isAllowed, deny: !deny.ask(asked).isAllowed }
}

const both = { allow: true, deny: true }
const neither = { allow: false, deny: false }

describe('authorization policies', () => {
  it('deny what no ALLOW matches as soon as there is one, and nothing without one', () => {
    expect(judged(policy('action: DENY')).ask().isAllowed).to.equal(true)
    expect(judged(policy('{}')).ask()).to.include({ isAllowed: false, details: none })
    expect(judged(policy('rules: [{}]')).ask().isAllowed).to.equal(true)
  })

  it('ask DENY before ALLOW, and name what denied', () => {
    const app = judged(
      policy('rules: [{}]', 'a'),
      policy(
        'action: DENY\nrules:\n- to: [{ operation: { methods: [PUT] } }]\n- to: [{ operation: { methods: [DELETE] } }]',
        'z',
      ),
    )
    expect(app.ask().isAllowed).to.equal(true)
    const details = 'rbac_access_denied_matched_policy[ns[public]-policy[z]-rule[1]]'
    expect(app.ask({ method: 'DELETE' })).to.include({ isAllowed: false, details })
    expect(app.counts.samples()).to.deep.equal([
      { labels: ['public/a', 'allowed'], value: 1 },
      { labels: ['public/z', 'denied'], value: 1 },
    ])
  })

  it('answer 403 in the words of Envoy, the same object for the same reason', () => {
    const { filter } = judged(policy('{}'))
    expect(filter.kind).to.equal('authorization')
    const app = judged(policy('{}'))
    expect(app.ask().details).to.equal(none)
    expect(app.counts.samples()).to.deep.equal([{ labels: ['none', 'denied'], value: 1 }])
  })

  it('tell what a policy would do that is only tried, and let AUDIT decide nothing', () => {
    const dry = 'istio.io/dry-run: "true"'
    const app = judged(
      policy('action: DENY\nrules: [{}]', 'd', 'public', dry),
      policy('rules: [{ to: [{ operation: { methods: [GET] } }] }]', 'e', 'public', dry),
      policy('action: AUDIT\nrules: [{ to: [{ operation: { methods: [PUT] } }] }]', 'f'),
    )
    expect(app.ask()).to.deep.equal({
      isAllowed: true,
      details: '',
      notes: 'would-deny[ns[public]-policy[d]-rule[0]], would-allow[ns[public]-policy[e]-rule[0]]',
    })
    expect(app.ask({ method: 'PUT' }).notes).to.equal(
      'audit[ns[public]-policy[f]-rule[0]], would-deny[ns[public]-policy[d]-rule[0]], would-deny[none]',
    )
    expect(app.counts.samples()).to.deep.include({ labels: ['public/f', 'audited'], value: 1 })
  })

  it('know callers by their certificate', () => {
    const from = (source: string): string => `{ from: [{ source: ${source} }] }`
    const asked = { principal: cart }
    expect(matches(from(`{ principals: [${cart}] }`), asked)).to.deep.equal(both)
    expect(matches(from(`{ principals: ["*/sa/cart"] }`), asked)).to.deep.equal(both)
    expect(matches(from('{ principals: ["cluster.local/*"] }'), asked)).to.deep.equal(both)
    expect(matches(from('{ principals: ["*"] }'), asked)).to.deep.equal(both)
    expect(matches(from('{ principals: ["*"] }'), {})).to.deep.equal(neither)
    expect(matches(from('{ notPrincipals: ["*"] }'), {})).to.deep.equal(both)
    expect(matches(from(`{ notPrincipals: [${cart}] }`), asked)).to.deep.equal(neither)
    expect(matches(from('{ namespaces: [public] }'), asked)).to.deep.equal(both)
    expect(matches(from('{ namespaces: [publi] }'), asked)).to.deep.equal(neither)
    expect(matches(from('{ notNamespaces: [prod] }'), asked)).to.deep.equal(both)
    expect(matches(from('{ serviceAccounts: [cart] }'), asked)).to.deep.equal(both)
    expect(matches(from('{ serviceAccounts: [prod/cart] }'), asked)).to.deep.equal(neither)
    expect(matches(from('{ notServiceAccounts: [public/cart] }'), asked)).to.deep.equal(neither)
  })

  it('believe nothing that a caller says of itself', () => {
    const rule = `{ from: [{ source: { principals: [${cart}] } }] }`
    const headers = {
      'x-mesh-source': 'cart',
      'x-forwarded-client-cert': `URI=spiffe://${cart}`,
      'x-forwarded-for': '10.9.9.9',
    }
    expect(matches(rule, { headers })).to.deep.equal(neither)
    expect(matches('{ from: [{ source: { remoteIpBlocks: [10.9.9.9] } }] }', { headers })).to.deep.equal(neither)
    const strange = { principal: 'cluster.local/ns/public/sa/cart/ns/prod/sa/admin' }
    expect(matches('{ from: [{ source: { namespaces: [prod] } }] }', strange)).to.deep.equal(neither)
    expect(matches('{ from: [{ source: { namespaces: [public] } }] }', strange)).to.deep.equal(neither)
  })

  it('know networks and ports, the port being the one of the application', () => {
    for (const field of ['ipBlocks', 'remoteIpBlocks'])
      expect(matches(`{ from: [{ source: { ${field}: [10.1.0.0/16] } }] }`, {}), field).to.deep.equal(both)
    expect(matches('{ from: [{ source: { ipBlocks: [10.2.0.0/16] } }] }', {})).to.deep.equal(neither)
    expect(matches('{ from: [{ source: { notIpBlocks: [10.1.2.3] } }] }', {})).to.deep.equal(neither)
    expect(matches('{ from: [{ source: { notRemoteIpBlocks: [10.1.2.4] } }] }', {})).to.deep.equal(both)
    expect(matches('{ to: [{ operation: { ports: ["8080"] } }] }', {})).to.deep.equal(both)
    expect(matches('{ to: [{ operation: { ports: ["21000"] } }] }', {})).to.deep.equal(neither)
    expect(matches('{ to: [{ operation: { notPorts: ["8080"] } }] }', {})).to.deep.equal(neither)
  })

  it('know hosts without their case, port and last dot', () => {
    const rule = '{ to: [{ operation: { hosts: [orders.example.com] } }] }'
    for (const host of ['orders.example.com', 'ORDERS.Example.com', 'orders.example.com:8080', 'orders.example.com.'])
      expect(matches(rule, { host }), host).to.deep.equal(both)
    expect(matches(rule, { host: 'orders.example.com.evil.com' })).to.deep.equal(neither)
    expect(matches('{ to: [{ operation: { hosts: ["orders:8080"] } }] }', { host: 'orders:8080' })).to.deep.equal(both)
    expect(matches('{ to: [{ operation: { hosts: ["orders:8080"] } }] }', { host: 'orders' })).to.deep.equal(neither)
    expect(
      matches('{ to: [{ operation: { notHosts: ["*.example.com"] } }] }', { host: 'a.example.com' }),
    ).to.deep.equal(neither)
  })

  it('know methods and headers', () => {
    expect(matches('{ to: [{ operation: { methods: [GET] } }] }', {})).to.deep.equal(both)
    expect(matches('{ to: [{ operation: { notMethods: [GET] } }] }', {})).to.deep.equal(neither)
    const rule = '{ when: [{ key: "request.headers[X-Role]", values: [admin] }] }'
    expect(matches(rule, { headers: { 'x-role': 'admin' } })).to.deep.equal(both)
    expect(matches(rule, {})).to.deep.equal(neither)
    expect(matches('{ when: [{ key: "request.headers[X-Role]", notValues: [admin] }] }', {})).to.deep.equal(both)
  })

  it('compare the value of a header by the UTF-8 bytes of their text, each of a list as well', () => {
    const when = (list: string): string => `{ when: [{ key: "request.headers[x-dept]", ${list} }] }`
    const of = (text: string) => ({ headers: { 'x-dept': wireText(text) } })
    expect(matches(when('values: ["张三"]'), of('张三'))).to.deep.equal(both)
    expect(matches(when('values: ["张三"]'), of('李四'))).to.deep.equal(neither)
    expect(matches(when('values: ["张*"]'), of('张三'))).to.deep.equal(both)
    expect(matches(when('values: ["*三"]'), of('张三'))).to.deep.equal(both)
    expect(matches(when('notValues: ["张三"]'), of('张三'))).to.deep.equal(neither)
    expect(matches(when('notValues: ["张三"]'), of('李四'))).to.deep.equal(both)
    // the last byte of this one alone would be a blank
    const listed = of('李四, 张\t,王')
    expect(matches(when('values: ["张"]'), listed)).to.deep.equal({ allow: false, deny: true })
    expect(matches(when('notValues: ["张"]'), listed)).to.deep.equal({ allow: false, deny: true })
  })

  it('compare claims of a token as text', () => {
    const token = { principal: 'https://issuer/张三', claims: { dept: '张三' } }
    expect(matches('{ when: [{ key: "request.auth.claims[dept]", values: ["张三"] }] }', { token })).to.deep.equal(both)
    expect(matches('{ from: [{ source: { requestPrincipals: ["*/张三"] } }] }', { token })).to.deep.equal(both)
  })

  it('know the conditions of Istio', () => {
    const when = (key: string, value: string): string => `{ when: [{ key: "${key}", values: ["${value}"] }] }`
    const token = {
      principal: 'https://issuer/alice',
      claims: { aud: ['a', 'b'], azp: 'app', groups: ['dev', 'ops'], realm: { roles: ['admin'] }, level: 3 },
    }
    const asked = { principal: cart, token, headers: { host: 'orders' } }
    const good: readonly (readonly [string, string])[] = [
      ['source.ip', '10.1.2.3'],
      ['remote.ip', '10.0.0.0/8'],
      ['source.namespace', 'public'],
      ['source.principal', '*/cart'],
      ['source.serviceAccount', 'public/cart'],
      ['destination.ip', '10.0.0.1'],
      ['destination.port', '8080'],
      ['request.headers[:authority]', 'orders'],
      ['request.headers[:method]', 'GET'],
      ['request.headers[:path]', '/'],
      ['request.auth.principal', 'https://issuer/alice'],
      ['request.auth.audiences', 'b'],
      ['request.auth.presenter', 'app'],
      ['request.auth.claims[groups]', 'ops'],
      ['request.auth.claims[realm][roles]', 'admin'],
      ['request.auth.claims[level]', '3'],
    ]
    for (const [key, value] of good) expect(matches(when(key, value), asked), key).to.deep.equal(both)
    for (const key of ['constructor', 'toString', 'realm][constructor', 'aud][0'])
      expect(matches(when(`request.auth.claims[${key}]`, '*'), asked), key).to.deep.equal(neither)
    expect(matches('{ from: [{ source: { requestPrincipals: ["https://issuer/*"] } }] }', asked)).to.deep.equal(both)
    expect(matches('{ from: [{ source: { notRequestPrincipals: ["*"] } }] }', asked)).to.deep.equal(neither)
    expect(matches('{ from: [{ source: { notRequestPrincipals: ["*"] } }] }', {})).to.deep.equal(both)
  })

  it('need all of a rule and any of its alternatives', () => {
    const rule =
      '{ from: [{ source: { namespaces: [a] } }, { source: { namespaces: [public] } }], to: [{ operation: { methods: [GET], paths: [/x] } }, { operation: { methods: [PUT] } }], when: [{ key: source.ip, values: [10.0.0.0/8] }] }'
    expect(matches(rule, { principal: cart, path: '/x' })).to.deep.equal(both)
    expect(matches(rule, { principal: cart, path: '/y' })).to.deep.equal(neither)
    expect(matches(rule, { principal: cart, path: '/y', method: 'PUT' })).to.deep.equal(both)
    expect(matches(rule, { principal: cart, path: '/x', from: '11.0.0.1' })).to.deep.equal(neither)
    expect(matches(rule, { path: '/x' })).to.deep.equal(neither)
  })

  it('on raw connections, allow by no field of HTTP, and deny in spite of one, as Istio does', () => {
    const mixed = '{ to: [{ operation: { methods: [GET], ports: ["8080"] } }] }'
    expect(judged(policy(`rules: [${mixed}]`)).connect().isAllowed).to.equal(false)
    expect(judged(policy(`action: DENY\nrules: [${mixed}]`)).connect().isAllowed).to.equal(false)
    const other = '{ to: [{ operation: { methods: [GET], ports: ["9090"] } }] }'
    expect(judged(policy(`action: DENY\nrules: [${other}]`)).connect().isAllowed).to.equal(true)
    const allowed = judged(policy(`rules: [{ from: [{ source: { principals: [${cart}] } }] }]`))
    expect(allowed.connect(cart).isAllowed).to.equal(true)
    expect(allowed.connect()).to.include({ isAllowed: false, details: none })
    const byHeader = '{ when: [{ key: "request.headers[a]", values: [b] }] }'
    expect(judged(policy(`action: DENY\nrules: [${byHeader}]`)).connect().isAllowed).to.equal(false)
    expect(judged(policy(`rules: [${byHeader}]`)).connect().isAllowed).to.equal(false)
  })

  it('explain themselves without counting', () => {
    const { counts, filter } = judged(
      policy('action: DENY\nrules: [{ from: [{ source: { notNamespaces: [public] } }] }]'),
    )
    const view = { method: 'GET', path: '/', query: '', authority: 'orders', sourceAddress: '1.2.3.4' } as never
    expect(filter.explain(view, { kind: 'none' })).to.equal(
      'denies a caller that nobody knows: DENY policy ns[public]-policy[p]-rule[0]',
    )
    expect(filter.explain(view, { kind: 'spiffe', id: `spiffe://${cart}` })).to.equal(
      `allows ${cart}: no policy denies, and none says who is allowed`,
    )
    expect(counts.samples()).to.deep.equal([])
  })
})
