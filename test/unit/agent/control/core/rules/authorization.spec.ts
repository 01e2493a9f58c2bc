import { expect } from 'chai'
import type { RuleStore } from '../../../../../../agent/control/core/rules/rule-store.ts'
import { policy } from '../../../../../support/authorization.ts'
import {
  inboundApplication,
  key,
  orders,
  problemsOf,
  resource,
  rules,
  ruleStore,
} from '../../../../../support/routing.ts'

const outbound = 'hostmesh.io/side: Outbound'

/** Names of the policies before an application of this service. */
function before(store: RuleStore, service = orders, labels?: Record<string, string>): string[] {
  const application = inboundApplication(service, labels === undefined ? {} : { labels })
  const { authorization } = store.inboundVirtualHost(service, application)
  return (authorization?.policies ?? []).map(({ name, namespace }) => `${namespace}/${name}`)
}

function beforeCallsTo(store: RuleStore, service = orders): string[] {
  return (store.virtualHost(service).spec.authorization?.policies ?? []).map(({ name }) => name)
}

describe('an AuthorizationPolicy holds', () => {
  it('everywhere if it is of the root namespace, else in its own', () => {
    const store = rules(
      [policy('{}', 'all', 'istio-system'), policy('{}', 'own'), policy('{}', 'other', 'prod')].join('---\n'),
    )
    expect(before(store)).to.deep.equal(['istio-system/all', 'public/own'])
    expect(before(store, 'prod/DEFAULT_GROUP@@orders')).to.deep.equal(['istio-system/all', 'prod/other'])
    expect(before(store, 'public/PAYMENTS@@orders'), 'of a group beside').to.deep.equal([
      'istio-system/all',
      'public/own',
    ])
  })

  it('for one group, where its namespace means that group', () => {
    const store = rules(policy('{}', 'p', 'PAYMENTS'))
    expect(before(store, 'public/PAYMENTS@@orders')).to.deep.equal(['PAYMENTS/p'])
    expect(before(store)).to.deep.equal([])
  })

  it('for the labels of its selector, and for the services of its targets', () => {
    const store = rules(
      [
        policy('selector: { matchLabels: { app: orders, version: v2 } }', 'labels'),
        policy('selector: {}', 'none'),
        policy('targetRef: { kind: Service, group: "", name: orders }', 'one'),
        policy('targetRefs: [{ kind: Service, name: ledger }, { kind: Service, name: orders }]', 'some'),
        policy('targetRefs: [{ kind: Service, name: ledger }]', 'elsewhere'),
      ].join('---\n'),
    )
    expect(before(store, orders, { app: 'orders', version: 'v2' })).to.deep.equal([
      'public/labels',
      'public/none',
      'public/one',
      'public/some',
    ])
    expect(before(store, orders, { app: 'orders' })).to.deep.equal(['public/none', 'public/one', 'public/some'])
  })

  it('on one side only, outbound by the service that is called', () => {
    const entry = resource(
      'ServiceEntry',
      'hosts: [pay.example.com]\nports: [{ number: 443, name: a, protocol: HTTP }]\nresolution: STATIC\nendpoints: [{ address: 10.0.0.9 }]',
      'pay',
    )
    const store = rules(
      [
        entry,
        policy('targetRefs: [{ kind: Service, name: orders }]', 'calls', 'public', outbound),
        policy(
          'targetRefs: [{ kind: ServiceEntry, group: networking.istio.io, name: pay }]',
          'pay',
          'public',
          outbound,
        ),
        policy('{}', 'everything', 'istio-system', outbound),
        policy('{}', 'inbound'),
      ].join('---\n'),
    )
    expect(before(store)).to.deep.equal(['public/inbound'])
    expect(beforeCallsTo(store)).to.deep.equal(['everything', 'calls'])
    expect(beforeCallsTo(store, key('pay.example.com'))).to.deep.equal(['everything', 'pay'])
    expect(beforeCallsTo(store, key('ledger'))).to.deep.equal(['everything'])
    expect(store.guardsCalls).to.equal(true)
  })

  it('for a service that is only reached by the host of a wildcard, before that host', () => {
    const wildcard = resource(
      'VirtualService',
      'hosts: ["*.example.com"]\nhttp: [{ route: [{ destination: { host: all } }] }]',
    )
    const store = rules(
      `${wildcard}---\n${policy('targetRefs: [{ kind: Service, name: a.example.com }]', 'a', 'public', outbound)}`,
    )
    expect(beforeCallsTo(store, store.resolveName('a.example.com'))).to.deep.equal(['a'])
  })

  it('on every route, as one list, before faults and limits', () => {
    const routes = resource(
      'VirtualService',
      'hosts: [orders]\nhttp:\n- { match: [{ uri: { prefix: /a } }], fault: { abort: { httpStatus: 500 } }, corsPolicy: { allowOrigins: [{ exact: "https://a" }] }, route: [{ destination: { host: orders } }] }\n- { redirect: { uri: / } }',
    )
    const { spec } = rules(`${routes}---\n${policy('{}', 'p', 'public', outbound)}`).virtualHost(orders)
    const kinds = [...spec.http, ...spec.tcp].map((route) => route.filters?.map(({ kind }) => kind))
    expect(kinds).to.deep.equal([['cors', 'authorization', 'fault-abort'], ['authorization'], ['authorization']])
  })

  it('no more when it is only tried or audits, as far as others ask whether calls are guarded', () => {
    const tried = policy('{}', 'p', 'public', `${outbound}, istio.io/dry-run: "true"`)
    const audited = policy('action: AUDIT\nrules: [{}]', 'q', 'public', outbound)
    expect(rules(`${tried}---\n${audited}`).guardsCalls).to.equal(false)
  })

  it('in its last good version while a new one has a mistake', () => {
    const store = ruleStore()
    const replace = (text: string) => store.replaceSource('rules.d', [{ name: 'a.yaml', text }])
    replace(policy('action: DENY\nrules: [{}]'))
    const { statuses } = replace(policy('action: DENY\nrules: [{ too: [] }]'))
    expect(statuses[0]).to.include({ state: 'rejected' })
    expect(before(store)).to.deep.equal(['public/p'])
  })

  it('anew when nothing but an annotation of it changes', () => {
    const store = rules(policy('{}'))
    const { affected } = store.replaceSource('rules.d', [
      { name: 'rules.yaml', text: policy('{}', 'p', 'public', 'istio.io/dry-run: "true"') },
    ])
    expect(affected).to.equal('all')
    const { authorization } = store.inboundVirtualHost(orders, inboundApplication(orders))
    expect(authorization!.policies[0]!.isDryRun).to.equal(true)
  })
})

describe('an AuthorizationPolicy that is refused', () => {
  const rule = (text: string): string => `rules: [${text}]`
  const from = (text: string): string => rule(`{ from: [{ source: ${text} }] }`)
  const to = (text: string): string => rule(`{ to: [{ operation: ${text} }] }`)
  const when = (text: string): string => rule(`{ when: [${text}] }`)
  const cases: readonly (readonly [string, string, string])[] = [
    ['action: PERMIT', 'spec.action', 'allowed ALLOW, DENY, AUDIT, CUSTOM'],
    ['rule: []', 'spec.rule', 'unknown field (nearest: rules)'],
    [rule('{ from: [] }'), 'spec.rules[0].from', ''],
    [from('{}'), 'spec.rules[0].from[0].source', 'an empty map'],
    [from('{ principal: [a] }'), 'spec.rules[0].from[0].source.principal', 'nearest: principals'],
    [
      from('{ principals: ["a*b"] }'),
      'spec.rules[0].from[0].source.principals[0]',
      'one * at its beginning or its end',
    ],
    [from('{ principals: ["spiffe://a/b"] }'), 'spec.rules[0].from[0].source.principals[0]', 'without spiffe://'],
    [from('{ ipBlocks: [10.0.0.0/33] }'), 'spec.rules[0].from[0].source.ipBlocks[0]', 'a network like'],
    [
      from('{ serviceAccounts: [a], namespaces: [b] }'),
      'spec.rules[0].from[0].source',
      'namespaces beside serviceAccounts',
    ],
    [from('{ serviceAccounts: ["a/b/c"] }'), 'spec.rules[0].from[0].source.serviceAccounts[0]', 'prod/orders'],
    [to('{ ports: [8080] }'), 'spec.rules[0].to[0].operation.ports[0]', 'a port as text'],
    [to('{ paths: [admin] }'), 'spec.rules[0].to[0].operation.paths[0]', 'begins with /'],
    [to('{ paths: ["/a/{*}.txt"] }'), 'spec.rules[0].to[0].operation.paths[0]', 'as a whole segment'],
    [to('{ paths: ["/{**}/a/{*}"] }'), 'spec.rules[0].to[0].operation.paths[0]', '{**} as the last operator'],
    [to('{ paths: ["/*/a/{*}"] }'), 'spec.rules[0].to[0].operation.paths[0]', 'no other *'],
    [to('{ methods: ["GET POST"] }'), 'spec.rules[0].to[0].operation.methods[0]', 'not a method'],
    [when('{ key: source.ip }'), 'spec.rules[0].when[0]', 'neither values nor notValues'],
    [when('{ key: source.ip, values: [a] }'), 'spec.rules[0].when[0].values[0]', 'a network like'],
    [when('{ key: source.name, values: [a] }'), 'spec.rules[0].when[0].key', 'allowed request.headers[name]'],
    [when('{ key: connection.sni, values: [a] }'), 'spec.rules[0].when[0].key', 'not handed to rules'],
    [when('{ key: "experimental.envoy.filters.a", values: [a] }'), 'spec.rules[0].when[0].key', 'no filters of Envoy'],
    [when('{ key: "request.auth.claims[__proto__]", values: [a] }'), 'spec.rules[0].when[0].key', 'no claim may have'],
    [when('{ key: "request.headers[a b]", values: [a] }'), 'spec.rules[0].when[0].key', 'allowed request.headers'],
    ['targetRef: { kind: Gateway, name: a }', 'spec.targetRef.kind', 'a gateway is chosen by selector'],
    ['targetRef: { kind: Service, group: networking.istio.io, name: a }', 'spec.targetRef', 'allowed Service of ""'],
    ['targetRef: { kind: Service, name: a }\nselector: {}', 'spec', 'found selector and targetRef'],
    ['targetRef: { kind: ServiceEntry, group: networking.istio.io, name: a }', 'spec.targetRef', 'side: Outbound'],
  ]
  for (const [spec, path, message] of cases) {
    it(`for ${spec.replaceAll('\n', ' ')}`, () => {
      const problems = problemsOf(policy(spec)).filter((one) => one.startsWith(`${path}: `))
      expect(problems, problemsOf(policy(spec)).join('\n')).to.have.length.at.least(1)
      expect(problems[0]).to.include(message)
    })
  }

  it('for what its annotations say, and for what they make impossible', () => {
    const problems = (spec: string, annotations: string): string[] =>
      problemsOf(policy(spec, 'p', 'public', annotations))
    expect(problems('{}', 'istio.io/dry-run: "yes"')[0]).to.include('found "yes", allowed "true", "false"')
    expect(problems('{}', 'hostmesh.io/side: outbound')[0]).to.include('allowed "Inbound", "Outbound"')
    expect(problems('selector: { matchLabels: { app: a } }', outbound)[0]).to.match(/^spec.selector: selects workloads/)
    const condition = when('{ key: destination.ip, values: [10.0.0.1] }')
    expect(problems(condition, outbound)[0]).to.match(/^spec.rules\[0\].when\[0\].key: destination.ip is not known/)
  })
})
