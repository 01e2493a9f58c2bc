import { expect } from 'chai'
import { hasRulesBefore, isGuarded } from '../../../../../../agent/control/core/rules/guards.ts'
import type { KnownFilter } from '../../../../../../agent/control/core/rules/rule-host.ts'
import { RuleStore } from '../../../../../../agent/control/core/rules/rule-store.ts'
import type { VirtualHostSpec } from '../../../../../../contracts/route-spec.ts'
import { inboundApplication, orders, resource } from '../../../../../support/routing.ts'

const strict: KnownFilter = { failOpen: false }
const userFilters = new Map([
  ['team', strict],
  ['audit', { failOpen: true }],
  ['small', { failOpen: false, builtin: 'compression' as const }],
])

function storeWith(text: string): RuleStore {
  const store = new RuleStore({ namespace: 'public', group: 'DEFAULT_GROUP', userFilters })
  store.replaceSource('test', [{ name: 'test.yaml', text }])
  return store
}

const policy = (spec: string, name = 'orders'): string => resource('MeshPolicy', `hosts: [orders]\n${spec}`, name)
const filtersOf = ({ http }: VirtualHostSpec): unknown =>
  http[0]!.filters?.map((one) =>
    one.kind === 'user' ? `${one.name} by ${one.origin.name} ${one.origin.path}` : one.kind,
  )

describe('filters of a MeshPolicy', () => {
  it('stand in their order, each once, before what takes tokens', () => {
    const store = storeWith(
      [
        policy('filters: [{ name: team }, { name: audit }]\nrateLimits: [{ name: l, maxTokens: 1, fillInterval: 1s }]'),
        policy('filters: [{ name: audit }]', 'others'),
      ].join('---\n'),
    )
    expect(filtersOf(store.virtualHost(orders).spec)).to.deep.equal([
      'team by public/orders spec.filters[0]',
      'audit by public/orders spec.filters[1]',
      'rate-limit',
    ])
    expect(filtersOf(store.inboundVirtualHost(orders, inboundApplication(orders)))).to.equal(undefined)
  })

  it('are before the application with side Inbound', () => {
    const store = storeWith(policy('filters: [{ name: team, side: Inbound }]'))
    expect(filtersOf(store.virtualHost(orders).spec)).to.equal(undefined)
    expect(filtersOf(store.inboundVirtualHost(orders, inboundApplication(orders)))).to.deep.equal([
      'team by public/orders spec.filters[0]',
    ])
  })

  it('are of the named routes alone', () => {
    const store = storeWith(policy('filters: [{ name: team, routes: [canary] }]'))
    expect(filtersOf(store.virtualHost(orders).spec)).to.equal(undefined)
  })

  it('that the host does not have are told by name', () => {
    const store = new RuleStore({ namespace: 'public', group: 'DEFAULT_GROUP', userFilters })
    const text = policy('filters: [{ name: team }, { name: tema }]')
    const { statuses } = store.replaceSource('test', [{ name: 'test.yaml', text }])
    expect(filtersOf(store.virtualHost(orders).spec), 'so that what it is for is refused').to.have.length(2)
    expect(statuses[0]!.problems.map(({ message, path }) => `${path}: ${message}`)).to.deep.equal([
      'spec.filters[1].name: tema: not among the filters of this host (known: team, audit, small); what it is for is refused',
    ])
  })

  it('that may refuse are gone around by nobody, whatever carries the call', () => {
    const guarded = (name: string, side: string): unknown[] => {
      const store = storeWith(policy(`filters: [{ name: ${name}, side: ${side} }]`))
      return [
        isGuarded(store.virtualHost(orders).spec),
        isGuarded(store.inboundVirtualHost(orders, inboundApplication(orders))),
        store.guardsCalls,
      ]
    }
    expect(guarded('team', 'Outbound')).to.deep.equal([true, false, true])
    expect(guarded('team', 'Inbound')).to.deep.equal([false, true, false])
    expect(guarded('unknown', 'Outbound'), 'refuses everything').to.deep.equal([true, false, true])
    expect(guarded('audit', 'Outbound'), 'fails open').to.deep.equal([false, false, false])
    expect(guarded('small', 'Inbound'), 'refuses nothing').to.deep.equal([false, false, false])
  })
})

describe('what stands before an application', () => {
  const before = (spec: string): boolean => {
    const store = storeWith(policy(spec))
    return hasRulesBefore(store.inboundVirtualHost(orders, inboundApplication(orders)), store.inboundPolicy(orders))
  }

  it('is met by callers of its own host too', () => {
    expect(before('filters: [{ name: small, side: Inbound }]')).to.equal(true)
    expect(before('rateLimits: [{ name: l, side: Inbound, maxTokens: 1, fillInterval: 1s }]')).to.equal(true)
    expect(before('adaptiveConcurrency: { side: Inbound }')).to.equal(true)
    expect(before('callers: [{ caller: cart, side: Inbound, maxRequests: 1 }]')).to.equal(true)
  })

  it('is nothing where rules are about calls', () => {
    expect(before('rateLimits: [{ name: l, maxTokens: 1, fillInterval: 1s }]')).to.equal(false)
    expect(before('adaptiveConcurrency: {}')).to.equal(false)
  })
})
