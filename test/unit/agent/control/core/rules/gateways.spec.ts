import { expect } from 'chai'
import { RuleStore } from '../../../../../../agent/control/core/rules/rule-store.ts'
import type { VirtualHostSpec } from '../../../../../../contracts/route-spec.ts'
import type { GatewayServerSpec } from '../../../../../../contracts/snapshot.ts'
import { key, resource } from '../../../../../support/routing.ts'

const host = {
  labels: { istio: 'ingressgateway' },
  addresses: ['10.0.0.1', '10.0.0.2'],
  ports: [80, 443, 5432],
  trustedProxies: 1,
  address: '10.0.0.1',
}

function storeOf(text: string, gateway: typeof host | null = host): RuleStore {
  const scope = { namespace: 'public', group: 'DEFAULT_GROUP' }
  const store = new RuleStore(gateway === null ? scope : { ...scope, gateway })
  store.replaceSource('rules.d', [{ name: 'rules.yaml', text }])
  return store
}

/** What an operator is told, by the name of the resource. */
function told(store: RuleStore): string[] {
  return store
    .statuses()
    .flatMap(({ name, problems, state }) => problems.map(({ message, path }) => `${name} ${state} ${path}: ${message}`))
}

const gateway = (name: string, servers: string, selector = 'istio: ingressgateway', namespace = 'public'): string =>
  named('Gateway', name, namespace, `selector: { ${selector} }\nservers:\n${servers}`)
const service = (name: string, spec: string, namespace = 'public'): string =>
  named('VirtualService', name, namespace, spec)
const http = (hosts: string, more = ''): string =>
  `- { port: { number: 80, protocol: HTTP }, hosts: [${hosts}]${more} }\n`
const https = (hosts: string, tls: string): string =>
  `- { port: { number: 443, protocol: HTTPS }, hosts: [${hosts}], tls: { ${tls} } }\n`
const to = (name: string): string => `http: [{ route: [{ destination: { host: ${name} } }] }]`

function named(kind: string, name: string, namespace: string, spec: string): string {
  const lines = spec.trimEnd().replaceAll('\n', '\n  ')
  return `---\napiVersion: networking.istio.io/v1\nkind: ${kind}\nmetadata: { name: ${name}, namespace: ${namespace} }\nspec:\n  ${lines}\n`
}

function hostsOf(servers: readonly GatewayServerSpec[]): string[] {
  return servers.flatMap((one) => (one.protocol === 'http' ? Object.keys(one.hosts) : [])).toSorted()
}

function servicesBehind(store: RuleStore, name: string): string[] {
  const found = store.gateways().virtualHosts.find((one) => one.name === name) as VirtualHostSpec
  return found.http.flatMap(({ action }) =>
    action.kind === 'forward' ? action.destinations.map((one) => one.service) : [`${action.kind} ${action.status}`],
  )
}

describe('Gateways of a host', () => {
  const shop = service('shop', `hosts: [shop.example.com]\ngateways: [edge]\n${to('orders')}`)

  it('open a port with the hosts of the VirtualServices that name them, and no virtual host of the mesh', () => {
    const store = storeOf(gateway('edge', http('"*.example.com"')) + shop)
    const { listeners, services } = store.gateways()
    expect(listeners).to.have.length(1)
    expect(listeners[0]).to.include({ name: 'gateway 10.0.0.1:80', port: 80, protocol: 'http', trustedProxies: 1 })
    expect(hostsOf(listeners[0]!.servers)).to.deep.equal(['shop.example.com'])
    expect(services).to.deep.equal([key('orders')])
    expect(servicesBehind(store, 'gateway 10.0.0.1:80 shop.example.com')).to.deep.equal([key('orders')])
    expect(store.gateways().virtualHosts.flatMap(({ domains }) => domains)).to.deep.equal([])
    expect(store.declaredKeys()).to.deep.equal([])
    expect(told(store)).to.deep.equal([])
  })

  it('open nothing without a word of the configuration, for other labels, ports and addresses', () => {
    expect(storeOf(gateway('edge', http('a.b')), null).gateways().listeners).to.deep.equal([])
    expect(storeOf(gateway('edge', http('a.b'), 'istio: other')).gateways().listeners).to.deep.equal([])
    const store = storeOf(
      gateway(
        'edge',
        '- { port: { number: 81, protocol: HTTP }, hosts: [a.b] }\n- { port: { number: 80, protocol: HTTP }, hosts: [a.b], bind: 10.0.0.9 }',
      ),
    )
    expect(store.gateways().listeners).to.deep.equal([])
    expect(told(store)).to.deep.equal([
      'edge applied spec.servers[0].port.number: 81 is not among gateway.ports of this host, so it is not opened',
      'edge applied spec.servers[1].bind: 10.0.0.9 is not among gateway.addresses of this host, so it is not opened',
    ])
  })

  it('keep the routes of the mesh apart from those of gateways, by the list and by a match', () => {
    const store = storeOf(
      gateway('edge', http('"*"')) +
        service(
          'both',
          'hosts: [orders]\ngateways: [edge, mesh]\nhttp:\n- match: [{ gateways: [edge], uri: { prefix: /in } }]\n  route: [{ destination: { host: a } }]\n- match: [{ gateways: [mesh], uri: { prefix: /out } }]\n  route: [{ destination: { host: b } }]\n- route: [{ destination: { host: c } }]',
        ),
    )
    expect(servicesBehind(store, 'gateway 10.0.0.1:80 orders')).to.deep.equal([key('a'), key('c')])
    const { http: inside } = store.virtualHost(key('orders')).spec
    expect(inside.map(({ name }) => name)).to.deep.equal(['http[1]', 'http[2]'])
  })

  it('redirect to https whatever is bound to the same host', () => {
    const store = storeOf(gateway('edge', http('shop.example.com', ', tls: { httpsRedirect: true }')) + shop)
    expect(servicesBehind(store, 'gateway 10.0.0.1:80 shop.example.com')).to.deep.equal(['redirect 301'])
  })

  it('serve two certificates on one port, and name in one server what has the same TLS', () => {
    const store = storeOf(
      gateway('a', https('a.example.com', 'mode: SIMPLE, credentialName: one')) +
        gateway('b', https('b.example.com', 'mode: SIMPLE, credentialName: one')) +
        gateway('c', https('c.example.com', 'mode: MUTUAL, credentialName: two, subjectAltNames: [x]')),
    )
    const { servers } = store.gateways().listeners[0]!
    expect(servers.map(({ names, tls }) => [names, tls])).to.deep.equal([
      [['a.example.com', 'b.example.com'], { mode: 'simple', credential: 'one' }],
      [['c.example.com'], { mode: 'mutual', credential: 'two', subjectAltNames: ['x'] }],
    ])
    expect(told(store)).to.deep.equal([])
  })

  it('leave a name to the first of two that disagree about its TLS, and a port to the first protocol', () => {
    const store = storeOf(
      gateway('a', https('a.example.com', 'mode: SIMPLE, credentialName: one')) +
        gateway('b', https('a.example.com, b.example.com', 'mode: SIMPLE, credentialName: two')) +
        gateway('c', '- { port: { number: 443, protocol: HTTP }, hosts: ["*"] }'),
    )
    const { servers } = store.gateways().listeners[0]!
    expect(servers.map(({ names }) => names)).to.deep.equal([['a.example.com'], ['b.example.com']])
    expect(told(store)).to.deep.equal([
      'b applied spec.servers[0].hosts[0]: a.example.com: its TLS on port 443 is that of Gateway public/a, which comes first',
      'c applied spec.servers[0].port.protocol: port 443 is one of TLS by Gateway public/a, which comes first; this server is not used',
    ])
  })

  it('leave a host to the first namespace, also where both have *, and join those of one namespace', () => {
    const store = storeOf(
      gateway('a', http('"*"'), undefined, 'one') +
        gateway('b', http('"*"'), undefined, 'two') +
        service('first', `hosts: [shop]\ngateways: [a]\n${to('orders')}`, 'one') +
        service('second', `hosts: [shop]\ngateways: [a]\n${to('more')}`, 'one') +
        service('third', `hosts: [shop]\ngateways: [b]\n${to('stolen')}`, 'two'),
    )
    expect(servicesBehind(store, 'gateway 10.0.0.1:80 shop')).to.deep.equal([key('orders'), key('more')])
    expect(told(store)).to.deep.include(
      'third applied spec.hosts[0]: shop at gateway 10.0.0.1:80: decided by VirtualService one/first, which comes first',
    )
  })

  it('heed the namespace before a host', () => {
    const text = (hosts: string): string =>
      gateway('a', http(hosts), undefined, 'one') +
      service('x', `hosts: [shop]\ngateways: [one/a]\n${to('orders')}`, 'two')
    for (const [hosts, found] of [
      ['shop', ['shop']],
      ['"*/shop"', ['shop']],
      ['two/shop', ['shop']],
      ['./shop', []],
      ['three/*', []],
    ] as const)
      expect(hostsOf(storeOf(text(hosts)).gateways().listeners[0]!.servers), hosts).to.deep.equal(found)
  })

  it('pass TLS by its tls routes, and end it or take plain bytes by its tcp routes', () => {
    const routes =
      'tls: [{ match: [{ sniHosts: [db.example.com] }], route: [{ destination: { host: named } }] }]\ntcp: [{ route: [{ destination: { host: raw } }] }]'
    const store = storeOf(
      gateway(
        'edge',
        '- { port: { number: 443, protocol: TLS }, hosts: [db.example.com], tls: { mode: PASSTHROUGH } }\n- { port: { number: 5432, protocol: TCP }, hosts: ["*"] }',
      ) + service('db', `hosts: [db.example.com]\ngateways: [edge]\n${routes}`),
    )
    const { listeners, virtualHosts } = store.gateways()
    expect(listeners.map(({ port, protocol, servers }) => [port, protocol, servers[0]!.protocol])).to.deep.equal([
      [443, 'http', 'tcp'],
      [5432, 'tcp', 'tcp'],
    ])
    const destinations = virtualHosts.map(({ tcp }) => tcp.flatMap((one) => one.destinations.map((d) => d.service)))
    expect(destinations.filter((some) => some.length > 0)).to.deep.equal([[key('named')], [key('raw')]])
  })

  it('stand behind the policies that select their labels, before every host', () => {
    const store = storeOf(
      gateway('edge', http('"*"')) +
        shop +
        '---\n' +
        resource(
          'AuthorizationPolicy',
          'selector: { matchLabels: { istio: ingressgateway } }\naction: DENY\nrules: [{}]',
        ) +
        '---\n' +
        resource(
          'AuthorizationPolicy',
          'selector: { matchLabels: { app: other } }\naction: DENY\nrules: [{}]',
          'other',
        ),
    )
    const made = store.gateways().virtualHosts.find(({ name }) => name.endsWith('shop.example.com'))!
    expect(made.authorization?.policies).to.have.length(1)
    expect(made.authorization?.destination).to.deep.equal({ address: '10.0.0.1', port: 80 })
    expect(made.http[0]!.filters).to.deep.equal([{ kind: 'authorization' }])
  })

  it('tell of a VirtualService whose Gateway is not there', () => {
    expect(told(storeOf(shop))).to.deep.equal([
      'shop applied spec.gateways[0]: there is no Gateway public/edge; nothing leads here by it',
    ])
  })
})
