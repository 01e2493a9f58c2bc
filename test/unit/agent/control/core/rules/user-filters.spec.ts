import { expect } from 'chai'
import { RuleStore } from '../../../../../../agent/control/core/rules/rule-store.ts'
import type { VirtualHostSpec } from '../../../../../../contracts/route-spec.ts'
import { inboundApplication, orders, resource } from '../../../../../support/routing.ts'

function storeWith(text: string): RuleStore {
  const userFilters = new Set(['team', 'audit'])
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
    const userFilters = new Set(['team', 'audit'])
    const store = new RuleStore({ namespace: 'public', group: 'DEFAULT_GROUP', userFilters })
    const text = policy('filters: [{ name: team }, { name: tema }]')
    const { statuses } = store.replaceSource('test', [{ name: 'test.yaml', text }])
    expect(filtersOf(store.virtualHost(orders).spec), 'so that what it is for is refused').to.have.length(2)
    expect(statuses[0]!.problems.map(({ message, path }) => `${path}: ${message}`)).to.deep.equal([
      'spec.filters[1].name: tema: not among the filters of this host (known: team, audit); what it is for is refused',
    ])
  })
})
