import { expect } from 'chai'
import { authorizersOf, extensionProviders } from '../../../../../../agent/control/config/extension-providers.ts'
import { hostScope } from '../../../../../../agent/control/core/rules/rule-host.ts'
import { RuleStore } from '../../../../../../agent/control/core/rules/rule-store.ts'
import type { VirtualHostSpec } from '../../../../../../contracts/route-spec.ts'
import { policy } from '../../../../../support/authorization.ts'
import { inboundApplication, orders, problemsOf } from '../../../../../support/routing.ts'

const scope = { namespace: 'public', group: 'DEFAULT_GROUP' }

function storeWith(text: string, providers: unknown = []): RuleStore {
  const authorizers = authorizersOf(extensionProviders().parse(providers), hostScope(scope))
  const store = new RuleStore({ ...scope, authorizers })
  store.replaceSource('test', [{ name: 'test.yaml', text }])
  return store
}

const opa = {
  name: 'opa',
  envoyExtAuthzGrpc: {
    service: 'opa',
    port: 9191,
    timeout: '250ms',
    failOpen: true,
    includeRequestBodyInCheck: { maxRequestBytes: 8192, allowPartialMessage: true, packAsBytes: true },
  },
}
const sso = {
  name: 'sso',
  envoyExtAuthzHttp: {
    service: 'sso.prod.svc.cluster.local',
    pathPrefix: '/check/',
    statusOnError: '503',
    includeRequestHeadersInCheck: ['cookie', 'x-*'],
    includeAdditionalHeadersInCheck: { 'x-from': 'mesh' },
    headersToUpstreamOnAllow: ['x-user'],
    headersToDownstreamOnDeny: ['location'],
  },
}
const asks = (name: string, more = '', provider = name): string =>
  policy(`action: CUSTOM\nprovider: { name: ${provider} }\nrules: [{}]${more}`, name)

describe('a CUSTOM policy', () => {
  const inbound = (store: RuleStore): VirtualHostSpec => store.inboundVirtualHost(orders, inboundApplication(orders))
  const kinds = (host: VirtualHostSpec): unknown =>
    host.http[0]!.filters?.map((one) => (one.kind === 'ext-authz' ? `${one.kind} ${one.provider}` : one.kind))

  it('has its provider asked before other policies decide, each provider once', () => {
    const store = storeWith([asks('sso'), asks('opa'), asks('again', '', 'opa'), policy('{}', 'allow')].join('---\n'), [
      opa,
      sso,
    ])
    const host = inbound(store)
    expect(kinds(host)).to.deep.equal(['ext-authz opa', 'ext-authz sso', 'authorization'])
    expect(host.tcp[0]!.filters!.map(({ kind }) => kind)).to.deep.equal(['ext-authz', 'ext-authz', 'authorization'])
    expect(host.authorization!.policies.map(({ action, provider }) => `${action} ${provider}`)).to.have.members([
      'CUSTOM sso',
      'CUSTOM opa',
      'CUSTOM opa',
      'ALLOW undefined',
    ])
  })

  it('hands workers what the configuration says of it, with its service as rules read names', () => {
    const store = storeWith([asks('opa'), asks('sso')].join('---\n'), [opa, sso])
    const [first, second] = inbound(store).http[0]!.filters!
    expect(first).to.deep.equal({
      kind: 'ext-authz',
      provider: 'opa',
      authorizer: {
        name: 'opa',
        service: 'public/DEFAULT_GROUP@@opa',
        port: 9191,
        timeoutMs: 250,
        failOpen: true,
        statusOnError: 403,
        content: { maxBytes: 8192, allowsPartial: true, isRaw: true },
        call: { kind: 'grpc' },
      },
    })
    expect(second).to.deep.include({ provider: 'sso' })
    expect((second as { authorizer?: object }).authorizer).to.deep.include({
      timeoutMs: 1000,
      failOpen: false,
      statusOnError: 503,
      call: {
        kind: 'http',
        pathPrefix: '/check',
        requestFields: ['cookie', 'x-*'],
        moreFields: { 'x-from': 'mesh' },
        upstreamOnAllow: ['x-user'],
        downstreamOnDeny: ['location'],
      },
    })
  })

  it('whose provider nobody knows is told, and has what it matches refused', () => {
    const store = storeWith(asks('missing'), [opa])
    const [entry] = inbound(store).http[0]!.filters!
    expect(entry).to.deep.equal({ kind: 'ext-authz', provider: 'missing' })
    expect(JSON.stringify(store.statuses())).to.include('not among rules.extensionProviders of this host (known: opa)')
  })

  it('asks nobody while it is only tried', () => {
    const tried = asks('opa').replace('metadata: {', 'metadata: { annotations: { istio.io/dry-run: "true" },')
    expect(kinds(inbound(storeWith(tried, [opa])))).to.deep.equal(['authorization'])
  })

  it('needs a provider, which other actions have none of', () => {
    expect(JSON.stringify(problemsOf(policy('action: CUSTOM\nrules: [{}]', 'x')))).to.include('CUSTOM needs one')
    expect(JSON.stringify(problemsOf(policy('provider: { name: opa }', 'x')))).to.include('allowed only beside')
  })

  it('is refused with providers that cannot be', () => {
    const problems = (value: unknown): string =>
      JSON.stringify(extensionProviders().safeParse(value).error?.issues ?? [])
    expect(problems([{ name: 'x' }])).to.include('exactly one of')
    expect(problems([{ ...opa, ...sso, name: 'x' }])).to.include('exactly one of')
    expect(problems([opa, opa])).to.include('there before')
    expect(problems([{ name: 'x', envoyExtAuthzGrpc: { service: 'a', statusOnError: 200 } }])).to.include('400 to 599')
    expect(problems([{ name: 'x', envoyExtAuthzGrpc: { service: 'a', includeRequestBodyInCheck: {} } }])).to.include(
      'includeRequestBodyInCheck',
    )
    expect(
      problems([{ name: 'x', envoyExtAuthzHttp: { service: 'a', headersToUpstreamOnAllow: ['a b'] } }]),
    ).to.include('a field name')
  })
})
