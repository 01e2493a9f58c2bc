import { expect } from 'chai'
import { mask } from '../../../../../../agent/control/admin/mask.ts'
import { extensionProviders, rateLimitServicesOf } from '../../../../../../agent/control/config/extension-providers.ts'
import { hostScope } from '../../../../../../agent/control/core/rules/rule-host.ts'
import { RuleStore } from '../../../../../../agent/control/core/rules/rule-store.ts'
import type { VirtualHostSpec } from '../../../../../../contracts/route-spec.ts'
import { inboundApplication, orders, problemsOf, resource } from '../../../../../support/routing.ts'

const scope = { namespace: 'public', group: 'DEFAULT_GROUP' }
const limits = {
  name: 'limits',
  envoyRateLimitGrpc: {
    service: 'limits',
    port: 15010,
    localShare: 25,
    initialMetadata: { Authorization: 'Bearer a' },
  },
}
const policy = (more = '', actions = 'remoteAddress: {}', beside = ''): string =>
  resource(
    'MeshPolicy',
    `hosts: [orders]\nglobalRateLimits:\n  - { name: l, provider: limits, domain: shop, descriptors: [{ actions: [{ ${actions} }] }]${more} }\n${beside}`,
    'orders',
  )

function storeWith(text: string, providers: unknown = [limits]): RuleStore {
  const rateLimitServices = rateLimitServicesOf(extensionProviders().parse(providers), hostScope(scope), 'host-1')
  const store = new RuleStore({ ...scope, rateLimitServices })
  store.replaceSource('test', [{ name: 'test.yaml', text }])
  return store
}
const first = ({ http }: VirtualHostSpec) => http[0]!.filters?.[0]

describe('limits that hosts share, in a MeshPolicy', () => {
  it('stand on the routes of their side, with the service that the configuration names', () => {
    const store = storeWith(policy(', hitsAddend: 3'))
    expect(first(store.virtualHost(orders).spec)).to.deep.equal({
      kind: 'global-rate-limit',
      name: 'public/orders/l',
      provider: 'limits',
      service: {
        name: 'limits',
        service: 'public/DEFAULT_GROUP@@limits',
        port: 15010,
        timeoutMs: 100,
        failureModeDeny: false,
        localShare: 0.25,
        metadata: { 'hostmesh-host': 'host-1', authorization: 'Bearer a' },
      },
      domain: 'shop',
      hitsAddend: 3,
      descriptors: [[{ kind: 'remote-address' }]],
      origin: { kind: 'MeshPolicy', name: 'public/orders', path: 'spec.globalRateLimits[0]' },
    })
    const inbound = (from: RuleStore) => first(from.inboundVirtualHost(orders, inboundApplication(orders)))
    expect(inbound(store)).to.equal(undefined)
    expect(inbound(storeWith(policy(', side: Inbound')))).to.include({ bySourceHeader: true })
    expect(first(storeWith(policy(', routes: [other]')).virtualHost(orders).spec)).to.equal(undefined)
  })

  it('come behind the limits of the host', () => {
    const own = policy('', 'remoteAddress: {}', 'rateLimits: [{ name: own, maxTokens: 1, fillInterval: 1s }]')
    const kinds = storeWith(own)
      .virtualHost(orders)
      .spec.http[0]!.filters!.map(({ kind }) => kind)
    expect(kinds).to.deep.equal(['rate-limit', 'global-rate-limit'])
  })

  it('tell of a service that is not there, and of raw connections', () => {
    const missing = storeWith(policy(), [])
    expect(first(missing.virtualHost(orders).spec)).to.not.have.property('service')
    expect(JSON.stringify(missing.statuses())).to.include('limits: no rate-limit service among')
    const raw = resource(
      'VirtualService',
      'hosts: [orders]\ntcp: [{ route: [{ destination: { host: orders } }] }]',
      'raw',
    )
    expect(JSON.stringify(storeWith(`${policy()}---\n${raw}`).statuses())).to.include(
      'does not hold for the TCP routes',
    )
  })

  it('have actions as Envoy has them', () => {
    const actionOf = (actions: string) => {
      const entry = first(storeWith(policy('', actions)).virtualHost(orders).spec)
      return entry?.kind === 'global-rate-limit' ? entry.descriptors[0]![0] : undefined
    }
    expect(actionOf('genericKey: { descriptorValue: a }')).to.deep.equal({
      kind: 'generic-key',
      key: 'generic_key',
      value: 'a',
    })
    expect(actionOf('requestHeaders: { headerName: X-User, descriptorKey: u }')).to.deep.equal({
      kind: 'request-headers',
      key: 'u',
      name: 'x-user',
      skipIfAbsent: false,
    })
    expect(actionOf('sourceCluster: {}')).to.deep.equal({ kind: 'source-cluster' })
    expect(actionOf('headerValueMatch: { descriptorValue: a, headers: { X-A: { prefix: b } } }')).to.deep.equal({
      kind: 'header-value-match',
      key: 'header_match',
      value: 'a',
      expectMatch: true,
      headers: { 'x-a': { prefix: 'b' } },
    })
  })

  it('are refused where they say what cannot be', () => {
    const told = (text: string): string => JSON.stringify(problemsOf(text))
    expect(told(policy('', 'genericKey: {}'))).to.include('descriptorValue')
    expect(told(policy('', 'remoteAddress: {}, sourceCluster: {}'))).to.include('exactly one of genericKey')
    expect(told(policy('', "requestHeaders: { headerName: ':status', descriptorKey: a }"))).to.include(
      'a header name, or',
    )
    expect(told(policy('', 'destinationCluster: {}'))).to.include('destinationCluster')
    expect(
      told(policy('', 'remoteAddress: {}', 'rateLimits: [{ name: l, maxTokens: 1, fillInterval: 1s }]')),
    ).to.include('is taken')
  })

  it('name a provider of exactly one kind, whose metadata is no one’s to read', () => {
    const problems = (value: unknown): string =>
      JSON.stringify(extensionProviders().safeParse(value).error?.issues ?? [])
    expect(problems([{ ...limits, envoyExtAuthzGrpc: { service: 'a' } }])).to.include('exactly one of')
    expect(problems([{ name: 'a', envoyRateLimitGrpc: { service: 'a', localShare: 0 } }])).to.include('localShare')
    expect(JSON.stringify(mask(limits))).to.not.include('Bearer')
    expect(JSON.stringify(mask(first(storeWith(policy()).virtualHost(orders).spec)))).to.not.include('Bearer')
  })
})
