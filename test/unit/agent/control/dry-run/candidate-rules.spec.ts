import { expect } from 'chai'
import { compileCandidate } from '../../../../../agent/control/dry-run/candidate-rules.ts'
import type { RuleStore } from '../../../../../agent/control/core/rules/rule-store.ts'
import type { Rules } from '../../../../../agent/control/core/rules/types.ts'
import type { ServiceKey } from '../../../../../contracts/endpoint.ts'
import type { ServiceSpec } from '../../../../../contracts/snapshot.ts'
import { inboundApplication, key, orders, ordersRoutes, resource, rules } from '../../../../support/routing.ts'

const inbound: ServiceKey = '$inbound/public:DEFAULT_GROUP:127.0.0.1:8080@@orders'

/** A host that calls `orders` and `billing` and has an application of `orders`. */
function sources(inForce: RuleStore) {
  const hosts = new Map([orders, key('billing')].map((one) => [one as string, inForce.virtualHost(one).spec]))
  const application = inboundApplication(inbound, { labels: { app: 'orders' } })
  const inboundHosts = (by: Rules) => [by.inboundVirtualHost(orders, application)]
  for (const host of inboundHosts(inForce)) hosts.set(host.name, host)
  const services = new Map(
    [orders, key('billing')].map((one) => [one, { key: one, ...inForce.service(one) } as unknown as ServiceSpec]),
  )
  return {
    rules: inForce,
    inboundHosts,
    store: {
      virtualHost: (name: string) => hosts.get(name),
      allVirtualHosts: () => hosts.values(),
      service: (one: ServiceKey) => services.get(one),
      allServices: () => services.values(),
    },
  }
}

describe('the new version of a rule on a host', () => {
  const timeout = (value: string, host = 'orders'): string =>
    ordersRoutes(`- timeout: ${value}\n  route: [{ destination: { host: ${host} } }]`)

  it('is what would be otherwise and nothing else, and changes nothing in force', () => {
    const inForce = rules(timeout('1s'))
    const before = inForce.version
    const compiled = compileCandidate(timeout('2s'), sources(inForce))
    expect(Object.keys(compiled.virtualHosts)).to.deep.equal([orders])
    expect(compiled.virtualHosts[orders]!.http[0]!.timeoutMs).to.equal(2000)
    expect([compiled.services, compiled.leadsTo, compiled.names]).to.deep.equal([
      {},
      [],
      ['VirtualService public/orders'],
    ])
    expect(inForce.virtualHost(orders).spec.http[0]!.timeoutMs).to.equal(1000)
    expect([inForce.version, inForce.statuses().length]).to.deep.equal([before, 1])
  })

  it('holds policies and subsets, and says where it leads that nobody here needs so far', () => {
    const inForce = rules(timeout('1s'))
    const rule = [
      timeout('1s', 'ledger'),
      resource('DestinationRule', 'host: billing\ntrafficPolicy: { connectionPool: { tcp: { connectTimeout: 5s } } }'),
    ].join('---\n')
    const { services, leadsTo, virtualHosts } = compileCandidate(rule, sources(inForce))
    expect(Object.keys(services)).to.deep.equal([key('billing')])
    expect(services[key('billing')]!.policy.pool.connectTimeoutMs).to.equal(5000)
    expect(leadsTo).to.deep.equal([key('ledger')])
    expect(Object.keys(virtualHosts)).to.deep.equal([orders])
  })

  it('holds what stands before applications of this host', () => {
    const rule = resource(
      'AuthorizationPolicy',
      'selector: { matchLabels: { app: orders } }\naction: DENY\nrules: [{}]',
    )
    const { virtualHosts } = compileCandidate(rule, sources(rules(timeout('1s'))))
    expect(Object.keys(virtualHosts)).to.include(inbound)
    expect(virtualHosts[inbound]!.http[0]!.filters?.map(({ kind }) => kind)).to.deep.equal(['authorization'])
  })

  it('is refused with the reason where it is broken, too long, or makes no difference here', () => {
    const from = sources(rules(timeout('1s')))
    expect(() => compileCandidate(timeout('soon'), from)).to.throw(/E_RULE_REJECTED|spec\.http\[0\]\.timeout/)
    expect(() => compileCandidate(`# ${'x'.repeat(70_000)}\n${timeout('2s')}`, from)).to.throw(/allowed 65536/)
    expect(() => compileCandidate(timeout('1s'), from)).to.throw(/nothing would be otherwise/)
    expect(() => compileCandidate('', from)).to.throw(/nothing would be otherwise/)
  })
})
