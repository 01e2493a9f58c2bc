import { expect } from 'chai'
import { RuleStore } from '../../../../../../agent/control/core/rules/rule-store.ts'
import type { RuleStatus } from '../../../../../../contracts/rule-status.ts'
import type { RuleChange } from '../../../../../../agent/control/core/rules/types.ts'
import { key, orders, ordersRoutes, resource, ruleStore, rules } from '../../../../../support/routing.ts'

const toOrders = 'route: [{ destination: { host: orders } }]'
const withTimeout = (timeout: string): string => ordersRoutes(`- timeout: ${timeout}\n  ${toOrders}`)
const one = (text: string | undefined, name = 'orders.yaml') => [{ name, text }]

function keysOf(affected: RuleChange['affected']): readonly string[] {
  return affected === 'all' ? ['all'] : [...affected]
}

function brief(statuses: readonly RuleStatus[]): unknown[] {
  return statuses.map(({ name, state, inForce }) => [name, state, inForce])
}

describe('what is in force under the name of a rule', () => {
  const name = 'VirtualService shop/orders'
  const rule = (timeout: string, called = 'orders'): string =>
    withTimeout(timeout).replace('{ name: orders }', `{ name: ${called}, namespace: shop }`)

  it('is the text of its last good version, of whoever decides', () => {
    const store = ruleStore()
    expect(store.inForce(name)).to.equal(undefined)
    store.replaceSource('center', one(rule('1s')))
    const first = store.inForce(name)
    expect(first).to.contain('timeout: 1s')
    store.replaceSource('center', one(rule('soon')))
    expect(store.inForce(name), 'a bad one changes nothing').to.equal(first)
    store.replaceSource('a source before it', one(rule('3s')))
    expect(store.inForce(name)).to.contain('timeout: 3s')
  })

  it('is nothing where another rule decides about all of its hosts', () => {
    const store = ruleStore()
    store.replaceSource('a', one(rule('1s', 'another')))
    store.replaceSource('b', one(rule('2s')))
    expect(brief(store.statuses())).to.deep.equal([
      ['another', 'applied', true],
      ['orders', 'conflict', false],
    ])
    expect(store.inForce(name)).to.equal(undefined)
  })
})

describe('the last good version of a rule', () => {
  const timeoutOf = (store: ReturnType<typeof ruleStore>) => store.virtualHost(orders).spec.http[0]!.timeoutMs

  it('stays in force while a newer version is rejected, and goes when a good one comes', () => {
    const store = ruleStore()
    store.replaceSource('rules.d', one(withTimeout('1s')))
    expect(brief(store.replaceSource('rules.d', one(withTimeout('soon'))).statuses)).to.deep.equal([
      ['orders', 'rejected', true],
    ])
    expect(timeoutOf(store)).to.equal(1000)
    store.replaceSource('rules.d', one(withTimeout('2s')))
    expect(timeoutOf(store)).to.equal(2000)
  })

  it('stays through any number of bad versions', () => {
    const store = ruleStore()
    store.replaceSource('rules.d', one(withTimeout('1s')))
    for (let i = 0; i < 3; i++) store.replaceSource('rules.d', one(withTimeout('soon')))
    expect(timeoutOf(store)).to.equal(1000)
  })

  it('stays when the document is broken YAML or cannot be read', () => {
    const store = ruleStore()
    store.replaceSource('rules.d', one(withTimeout('1s')))
    for (const text of ['a: [', undefined]) {
      const { statuses } = store.replaceSource('rules.d', [{ name: 'orders.yaml', text, problem: 'permission denied' }])
      expect(statuses.map(({ state, inForce }) => [state, inForce])).to.deep.equal([['rejected', true]])
      expect(timeoutOf(store)).to.equal(1000)
    }
  })

  it('stays when the broken version lost its name', () => {
    const store = ruleStore()
    store.replaceSource('rules.d', one(withTimeout('1s')))
    store.replaceSource('rules.d', one(withTimeout('2s').replace('{ name: orders }', '{}')))
    expect(timeoutOf(store)).to.equal(1000)
  })

  it('stays when the resource moved to another document and is bad there', () => {
    const store = ruleStore()
    store.replaceSource('rules.d', one(withTimeout('1s')))
    store.replaceSource('rules.d', one(withTimeout('soon'), 'other.yaml'))
    expect(timeoutOf(store)).to.equal(1000)
  })

  it('does not hold up the good resources beside a bad one', () => {
    const store = ruleStore()
    const other = resource('VirtualService', `hosts: [other]\nhttp:\n- timeout: 3s\n  ${toOrders}`, 'other')
    const { statuses } = store.replaceSource('rules.d', one(`${withTimeout('soon')}---\n${other}`))
    expect(brief(statuses)).to.deep.equal([
      ['orders', 'rejected', false],
      ['other', 'applied', true],
    ])
    expect(store.virtualHost(key('other')).spec.http[0]!.timeoutMs).to.equal(3000)
  })

  it('goes when the resource is gone from a readable document, or the document from the source', () => {
    const store = ruleStore()
    store.replaceSource('rules.d', one(withTimeout('1s')))
    store.replaceSource('rules.d', one('# nothing left\n'))
    expect(timeoutOf(store)).to.equal(0)
    store.replaceSource('rules.d', one(withTimeout('1s')))
    store.replaceSource('rules.d', [])
    expect(timeoutOf(store)).to.equal(0)
    store.replaceSource('rules.d', one(withTimeout('1s')))
    store.replaceSource('rules.d', [])
    expect(timeoutOf(store)).to.equal(0)
    expect(store.statuses()).to.deep.equal([])
  })

  it('survives a restart of control by its exported state', () => {
    const before = ruleStore()
    before.replaceSource('rules.d', one(withTimeout('1s')))
    before.replaceSource('rules.d', one(withTimeout('soon')))
    const after = ruleStore()
    after.importState(JSON.parse(JSON.stringify(before.exportState())))
    expect(timeoutOf(after)).to.equal(1000)
    expect(brief(after.statuses()), 'what is in force is shown').to.deep.equal([['orders', 'applied', true]])
    expect(after.statuses()[0]!.problems.map(({ message }) => message)).to.deep.equal([
      'as the last run left it; where it comes from has not been read since',
    ])
    expect(brief(after.replaceSource('rules.d', one(withTimeout('soon'))).statuses)).to.deep.equal([
      ['orders', 'rejected', true],
    ])
    expect(
      after
        .statuses()[0]!
        .problems.map(({ message }) => message)
        .join(),
    ).to.not.contain('the last run')
    expect(timeoutOf(after)).to.equal(1000)
    after.replaceSource('rules.d', [])
    expect(timeoutOf(after), 'an imported rule that is gone').to.equal(0)
  })

  it('tolerates any imported state', () => {
    const bad = { source: 'a', document: 'b', text: withTimeout('soon') }
    for (const state of [null, 1, 'x', [], {}, { resources: 1 }, { resources: [null, 1, {}, { source: 1 }, bad] }]) {
      const store = ruleStore()
      store.importState(state)
      expect(timeoutOf(store)).to.equal(0)
    }
  })
})

describe('two rules for one host', () => {
  const forHost = (name: string, timeout: string, hosts = 'orders'): string =>
    resource('VirtualService', `hosts: [${hosts}]\nhttp:\n- timeout: ${timeout}\n  ${toOrders}`, name)

  it('are decided by namespace and name, whatever file or source they come from', () => {
    for (const [first, second] of [
      ['a', 'b'],
      ['b', 'a'],
    ] as const) {
      const store = ruleStore()
      store.replaceSource('one', [{ name: 'x.yaml', text: forHost(first, first === 'a' ? '1s' : '2s') }])
      store.replaceSource('two', [{ name: 'y.yaml', text: forHost(second, second === 'a' ? '1s' : '2s') }])
      expect(store.virtualHost(orders).spec.http[0]!.timeoutMs).to.equal(1000)
      const loser = store.statuses().find((status) => status.name === 'b')!
      expect(loser).to.include({ state: 'conflict', inForce: false })
      expect(loser.problems[0]).to.include({
        path: 'spec.hosts[0]',
        line: 5,
        message: 'orders: decided by VirtualService public/a, which comes first',
      })
    }
  })

  it('leave the loser its other hosts', () => {
    const store = rules(`${forHost('a', '1s')}---\n${forHost('b', '2s', 'orders, other')}`)
    expect(store.virtualHost(orders).spec.http[0]!.timeoutMs).to.equal(1000)
    expect(store.virtualHost(key('other')).spec.http[0]!.timeoutMs).to.equal(2000)
    const [, loser] = store.statuses()
    expect(loser).to.include({ state: 'applied', inForce: true })
    expect(loser!.problems).to.have.length(1)
  })

  it('give the host to the loser when the winner goes', () => {
    const store = ruleStore()
    store.replaceSource('one', one(forHost('a', '1s')))
    store.replaceSource('two', one(forHost('b', '2s')))
    const { affected } = store.replaceSource('one', [])
    expect(keysOf(affected)).to.deep.equal([orders])
    expect(store.virtualHost(orders).spec.http[0]!.timeoutMs).to.equal(2000)
    expect(brief(store.statuses())).to.deep.equal([['b', 'applied', true]])
  })

  it('with the same name: the first place in a source, the first source by name', () => {
    const store = ruleStore()
    const { statuses } = store.replaceSource('m', one(`${forHost('a', '1s')}---\n${forHost('a', '2s')}`))
    expect(brief(statuses)).to.deep.equal([
      ['a', 'applied', true],
      ['a', 'rejected', false],
    ])
    expect(statuses[1]!.problems[0]!.message).to.equal(
      'VirtualService public/a is defined at orders.yaml:1 already; this one is not used',
    )
    store.replaceSource('l', one(forHost('a', '3s')))
    expect(store.virtualHost(orders).spec.http[0]!.timeoutMs).to.equal(3000)
    expect(store.statuses().find((status) => status.source === 'm')).to.include({ state: 'conflict', inForce: false })
  })

  it('with the same name in two registries: the first as they are configured, and the same words are no fault', () => {
    const sourceOrder = ['center:z', 'center:b', 'nacos:a']
    const store = new RuleStore({ namespace: 'public', group: 'DEFAULT_GROUP', localSource: 'local', sourceOrder })
    const stands = () => store.statuses().map(({ source, state, inForce }) => [source, state, inForce])
    store.replaceSource('rules.d', one(forHost('a', '4s')))
    store.replaceSource('nacos:a', one(forHost('a', '3s')))
    store.replaceSource('center:b', one(forHost('a', '2s')))
    store.replaceSource('center:z', one(forHost('a', '2s')))
    expect(stands()).to.deep.equal([
      ['center:z', 'applied', true],
      ['center:b', 'overridden', false],
      ['nacos:a', 'conflict', false],
      ['rules.d', 'conflict', false],
    ])
    expect(store.statuses()[1]!.problems[0]!.message).to.equal(
      'the same resource comes from source center:z, which decides and says the same; this one is not used',
    )
    expect(store.virtualHost(orders).spec.http[0]!.timeoutMs).to.equal(2000)
    store.replaceSource('center:z', one(forHost('a', '1s')))
    expect(stands()[1]).to.deep.equal(['center:b', 'conflict', false])
    expect(store.virtualHost(orders).spec.http[0]!.timeoutMs).to.equal(1000)
    store.replaceSource('center:z', [])
    expect(store.virtualHost(orders).spec.http[0]!.timeoutMs).to.equal(2000)
  })

  it('say of a time to live that nothing ends it here', () => {
    const text = forHost('a', '1s').replace('name: a', 'name: a, annotations: { hostmesh.io/ttl: 1h }')
    expect(text).to.include('ttl')
    const [status] = rules(text).statuses()
    expect(status).to.include({ state: 'applied', inForce: true })
    expect(status!.problems[0]).to.deep.include({ path: 'metadata.annotations.hostmesh.io/ttl', line: 3 })
    expect(status!.problems[0]!.message).to.include('has no effect here')
  })

  it('are overridden by what this host alone was told only where it would decide about something without that', () => {
    const store = new RuleStore({ namespace: 'public', group: 'DEFAULT_GROUP', localSource: 'local' })
    const state = (name: string) => store.statuses().find((one) => one.name === name && one.source === 'm')!.state
    store.replaceSource('m', one(`${forHost('a', '1s')}---\n${forHost('b', '2s', 'orders, stock')}`))
    store.replaceSource('local', one(forHost('y', '3s', 'stock')))
    expect([state('a'), state('b')]).to.deep.equal(['applied', 'overridden'])
    store.replaceSource('local', one(forHost('y', '3s', 'elsewhere')))
    expect([state('a'), state('b')]).to.deep.equal(['applied', 'applied'])
  })

  it('are decided by the one that this host alone was told, whatever its name, and its values say so', () => {
    const store = new RuleStore({ namespace: 'public', group: 'DEFAULT_GROUP', localSource: 'local' })
    store.replaceSource('center', one(`${forHost('a', '1s')}---\n${forHost('z', '4s', 'stock')}`))
    const timeout = (name = orders) => store.virtualHost(name).spec.http[0]!.timeoutMs
    expect(timeout()).to.equal(1000)
    store.replaceSource('local', one(`${forHost('y', '2s')}---\n${forHost('z', '3s', 'stock')}`))
    expect([timeout(), timeout(key('stock'))]).to.deep.equal([2000, 3000])
    expect(store.virtualHost(orders).spec.http[0]!.origin).to.deep.include({ name: 'public/y', isLocal: true })
    expect(store.statuses().map(({ name, source, state }) => [name, source, state])).to.deep.equal([
      ['y', 'local', 'applied'],
      ['z', 'local', 'applied'],
      ['a', 'center', 'overridden'],
      ['z', 'center', 'overridden'],
    ])
    store.replaceSource('local', [])
    expect([timeout(), timeout(key('stock'))]).to.deep.equal([1000, 4000])
    expect(store.virtualHost(orders).spec.http[0]!.origin).to.not.have.property('isLocal')
  })
})

describe('a long text', () => {
  it('is read in steps, changes nothing until it is put in force, and is then not read again', async () => {
    const store = ruleStore()
    const text = Array.from({ length: 600 }, (_, i) =>
      resource('DestinationRule', `host: s${i}\ntrafficPolicy: { loadBalancer: { simple: RANDOM } }`, `s${i}`),
    ).join('---\n')
    const documents = [{ name: 'long.yaml', text }]
    expect(store.isLong('rules.d', documents)).to.equal(true)
    expect(store.isLong('rules.d', one(withTimeout('1s')))).to.equal(false)
    let turns = 0
    await store.readAhead('rules.d', documents, async () => {
      turns++
      await Promise.resolve()
    })
    expect(turns).to.equal(600)
    expect(store.statuses()).to.deep.equal([])
    expect(store.isLong('rules.d', documents), 'it is known now').to.equal(false)
    const { statuses } = store.replaceSource('rules.d', documents)
    expect(statuses.filter(({ state }) => state === 'applied')).to.have.length(600)
    expect(store.service(key('s599')).policy.loadBalancer.kind).to.equal('random')
  })
})

describe('what a change affects', () => {
  it('is read again only where the text of a document changed', () => {
    const store = ruleStore()
    const other = (timeout: string) => ({
      name: 'other.yaml',
      text: resource('VirtualService', `hosts: [other]\nhttp:\n- timeout: ${timeout}\n  ${toOrders}`, 'other'),
    })
    store.replaceSource('rules.d', [...one(withTimeout('1s')), other('1s')])
    const before = store.virtualHost(orders).spec.http[0]!
    store.replaceSource('rules.d', [...one(withTimeout('1s')), other('2s')])
    expect(store.virtualHost(orders).spec.http[0]!.matches).to.equal(before.matches)
    expect(store.virtualHost(key('other')).spec.http[0]!.timeoutMs).to.equal(2000)
  })

  it('is the keys of the rules that changed, and nothing for the same content', () => {
    const store = ruleStore()
    const other = resource('VirtualService', `hosts: [other]\nhttp:\n- ${toOrders}`, 'other')
    const text = (timeout: string): string => `${withTimeout(timeout)}---\n${other}`
    expect(keysOf(store.replaceSource('rules.d', one(text('1s'))).affected).toSorted()).to.deep.equal([
      orders,
      key('other'),
    ])
    expect(keysOf(store.replaceSource('rules.d', one(`# moved\n\n${text('1s')}`)).affected)).to.deep.equal([])
    expect(keysOf(store.replaceSource('rules.d', one(text('2s'))).affected)).to.deep.equal([orders])
    expect(keysOf(store.replaceSource('rules.d', one(withTimeout('2s'))).affected)).to.deep.equal([key('other')])
  })

  it('is everything for a rule without hosts or with a wildcard', () => {
    const store = ruleStore()
    expect(store.replaceSource('a', one(resource('MeshPolicy', 'panicThresholdPercent: 1'))).affected).to.equal('all')
    const wide = resource('VirtualService', `hosts: ["*.example.com"]\nhttp:\n- ${toOrders}`)
    expect(store.replaceSource('b', one(wide)).affected).to.equal('all')
  })

  it('moves the version, and only then', () => {
    const store = ruleStore()
    const versions = ['1s', '1s', 'soon', '2s'].map((timeout) => {
      store.replaceSource('rules.d', one(withTimeout(timeout)))
      return store.version
    })
    expect(versions).to.deep.equal([1, 1, 1, 2])
  })
})

describe('names', () => {
  const hosts = (list: string, name = 'orders', namespace = ''): string =>
    resource('VirtualService', `hosts: [${list}]\nhttp:\n- ${toOrders}`, name).replace(
      `{ name: ${name} }`,
      namespace === '' ? `{ name: ${name} }` : `{ name: ${name}, namespace: ${namespace} }`,
    )

  it('read as services where no rule says more', () => {
    const store = ruleStore()
    expect(store.resolveName('orders')).to.equal(orders)
    expect(store.resolveName('PAYMENTS@@orders')).to.equal('public/PAYMENTS@@orders')
    expect(store.resolveName('prod/PAYMENTS@@orders')).to.equal('prod/PAYMENTS@@orders')
    expect(store.resolveName('orders.payments'), 'a known group behind a dot, in any case').to.equal(
      'public/PAYMENTS@@orders',
    )
    expect(store.resolveName('orders.default_group')).to.equal(orders)
    expect(store.resolveName('com.example.Orders'), 'a dot in a name').to.equal(key('com.example.Orders'))
    for (const name of ['', 'a b', 'ä', 'a/b/c', 'a@@b@@c', 'x'.repeat(600)]) {
      expect(store.resolveName(name), name).to.equal(undefined)
    }
  })

  it('of rules are found in any case, and a wildcard takes what has no rule of its own', () => {
    const store = rules(`${hosts('Shop.example.com, "*.example.com"')}---\n${hosts('"*.eu.example.com"', 'eu')}`)
    expect(store.resolveName('shop.EXAMPLE.com')).to.equal(key('Shop.example.com'))
    expect(store.resolveName('x.example.com')).to.equal(key('*.example.com'))
    expect(store.resolveName('x.eu.example.com')).to.equal(key('*.eu.example.com'))
    expect(store.resolveName('example.com')).to.equal(key('example.com'))
    expect(store.virtualHost(key('*.example.com')).spec.domains).to.deep.equal(['*.example.com'])
    expect(store.virtualHost(key('y.example.com')).spec.http[0]!.name, 'a listener of its own').to.equal('http[0]')
  })

  it('of a wildcard leave out those for which a more specific rule decides, also when it comes later', () => {
    const store = rules(hosts('"*.example.com"', 'wide'))
    const wide = key('*.example.com')
    expect(store.virtualHost(wide).spec).not.to.have.property('except')
    const { affected } = store.replaceSource('more', [
      { name: 'more', text: `${hosts('Shop.example.com', 'shop')}---\n${hosts('other.example.org', 'other')}` },
    ])
    expect(affected).to.deep.equal(new Set([key('Shop.example.com'), wide, key('other.example.org')]))
    expect(store.virtualHost(wide).spec.except).to.deep.equal(['shop.example.com'])
    store.replaceSource('more', [{ name: 'more', text: hosts('"*.eu.example.com"', 'eu') }])
    expect(store.virtualHost(wide).spec.except).to.deep.equal(['*.eu.example.com'])
  })

  it('that differ by case only are told, and one of them decides', () => {
    const store = rules(`${hosts('Orders', 'a')}---\n${hosts('orders', 'b')}`)
    expect(store.resolveName('ORDERS')).to.equal(key('Orders'))
    expect(
      store.statuses().flatMap(({ name, problems }) => problems.map(({ message }) => [name, message])),
    ).to.deep.equal([['b', 'orders and Orders differ by case only; Host has no case and leads to Orders']])
  })

  describe('of a cluster', () => {
    const scope = { namespace: 'public', group: 'DEFAULT_GROUP', groups: ['PAYMENTS'], namespaces: ['prod'] }
    const map = { shop: { namespace: 'prod', group: 'SHOP' } }
    const resolve = (name: string, more = {}) => new RuleStore({ ...scope, ...more }).resolveName(name)

    it('read as services where their namespace leads to', () => {
      expect(resolve('reviews.bookinfo.svc.cluster.local')).to.equal(key('reviews'))
      expect(resolve('reviews.bookinfo.svc')).to.equal(key('reviews'))
      expect(resolve('reviews.prod.svc.cluster.local')).to.equal('prod/DEFAULT_GROUP@@reviews')
      expect(resolve('reviews.payments.svc.cluster.local')).to.equal('public/PAYMENTS@@reviews')
      expect(resolve('reviews.shop.svc.cluster.local', { namespaceMap: map })).to.equal('prod/SHOP@@reviews')
      expect(resolve('reviews.bookinfo.svc.cluster.local', { otherNamespaces: 'separate' })).to.equal(
        'bookinfo/DEFAULT_GROUP@@reviews',
      )
      expect(resolve('reviews.a.svc.corp.example', { clusterDomain: 'corp.example' })).to.equal(key('reviews'))
      expect(resolve('reviews.a.svc.corp.example')).to.equal(key('reviews.a.svc.corp.example'))
    })

    it('with a known namespace behind a dot are the same service, others are names with a dot', () => {
      expect(resolve('reviews.prod')).to.equal('prod/DEFAULT_GROUP@@reviews')
      expect(resolve('reviews.shop', { namespaceMap: map })).to.equal('prod/SHOP@@reviews')
      expect(resolve('reviews.bookinfo')).to.equal(key('reviews.bookinfo'))
    })

    it('in rules mean what callers mean by them', () => {
      const store = rules(
        resource(
          'VirtualService',
          `hosts: [reviews.bookinfo.svc.cluster.local]\nhttp: [{ route: [{ destination: { host: reviews, subset: v1 } }] }]`,
        ).replace('name: orders', 'name: reviews, namespace: bookinfo'),
      )
      for (const name of ['reviews', 'reviews.bookinfo.svc.cluster.local', 'REVIEWS.bookinfo.svc'])
        expect(store.resolveName(name), name).to.equal(key(name.startsWith('R') ? 'REVIEWS' : 'reviews'))
      expect(store.virtualHost(key('reviews')).isDeclared).to.equal(true)
      expect(store.virtualHost(key('reviews')).spec.domains).to.deep.equal(['reviews.bookinfo.svc.cluster.local'])
    })

    it('under a wildcard are all services of the namespace, or of all', () => {
      const rule = (host: string) =>
        resource('DestinationRule', `host: '${host}'\ntrafficPolicy: { loadBalancer: { simple: RANDOM } }`)
      const kindOf = (host: string, of: `${string}/${string}@@${string}`) =>
        rules(rule(host)).service(of).policy.loadBalancer.kind
      for (const host of ['*.local', '*.cluster.local', '*.svc.cluster.local', '*.prod.svc.cluster.local', '*'])
        expect(kindOf(host, 'prod/DEFAULT_GROUP@@a'), host).to.equal(host === '*' ? 'least-request' : 'random')
      expect(kindOf('*', key('a'))).to.equal('random')
      expect(kindOf('*.prod.svc.cluster.local', key('a'))).to.equal('least-request')
      expect(kindOf('*.local', key('api.example.com')), 'no name of the cluster').to.equal('least-request')
    })
  })

  it('that a namespace made another service can be looked up, with the reason', () => {
    const store = rules(
      `${hosts('reviews.bookinfo.svc.cluster.local', 'a')}---\n${hosts('orders', 'b', 'prod')}---\n${hosts('ledger', 'c')}`,
    )
    expect(store.hostReadings().map(({ host, key: service, why }) => [host, service, why])).to.deep.equal([
      ['reviews.bookinfo.svc.cluster.local', key('reviews'), 'namespace bookinfo: rules.otherNamespaces: own'],
      ['orders', 'prod/DEFAULT_GROUP@@orders', 'namespace prod: the namespace of a registry'],
    ])
  })

  it('without a dot belong to the namespace of their rule', () => {
    const store = rules(`${hosts('orders, api.prod.example.com', 'orders', 'prod')}`)
    expect(store.resolveName('orders')).to.equal(orders)
    expect(store.virtualHost(orders).isDeclared).to.equal(false)
    expect(store.virtualHost('prod/DEFAULT_GROUP@@orders')).to.include({ isDeclared: true })
    expect(store.virtualHost('prod/DEFAULT_GROUP@@orders').spec.domains).to.deep.equal([])
    expect(store.resolveName('api.prod.example.com')).to.equal('prod/DEFAULT_GROUP@@api.prod.example.com')
  })

  it('in destinations belong to the namespace of the rule too', () => {
    const store = rules(hosts('a', 'a', 'prod'))
    expect(store.virtualHost('prod/DEFAULT_GROUP@@a').services).to.deep.equal([
      'prod/DEFAULT_GROUP@@a',
      'prod/DEFAULT_GROUP@@orders',
    ])
  })

  it('of declared hosts are listed, sorted', () => {
    expect(rules(hosts('b, a, PAYMENTS@@c')).declaredKeys()).to.deep.equal([key('a'), key('b'), 'public/PAYMENTS@@c'])
  })
})

describe('a service without a rule', () => {
  it("has one route that takes everything, with Istio's default retries", () => {
    const host = ruleStore().virtualHost(orders)
    expect(host).to.deep.include({ services: [orders], isDeclared: false })
    expect(host.spec.http).to.have.length(1)
    expect(host.spec.http[0]).to.deep.include({
      name: 'default',
      origin: { kind: 'default', name: '', path: '' },
      matches: [],
      action: { kind: 'forward', destinations: [{ service: orders, weight: 100 }] },
      timeoutMs: 0,
    })
    expect(host.spec.http[0]!.retry!.attempts).to.equal(2)
    expect(host.spec.tcp[0]!.destinations).to.deep.equal([{ service: orders, weight: 100 }])
  })
})

describe('a route to a port that a ServiceEntry does not list', () => {
  const entry = resource(
    'ServiceEntry',
    'hosts: [orders]\nports: [{ number: 80, name: http }]\nresolution: STATIC\nendpoints: [{ address: 10.0.0.9 }]',
  )
  const notes = (port: number, more = entry): string[] =>
    rules(`${ordersRoutes(`- route: [{ destination: { host: orders, port: { number: ${port} } } }]`)}---\n${more}`)
      .statuses()
      .flatMap(({ problems }) => problems.map(({ path, message }) => `${path}: ${message}`))

  it('is applied, and its status names the port and the listed ones', () => {
    const [note, ...rest] = notes(81)
    expect(rest).to.deep.equal([])
    expect(note).to.match(
      /^spec\.http\[0\]\.route\[0\]\.destination\.port\.number: port 81 of .*orders is not listed by ServiceEntry \S+ \(80\)/,
    )
    expect(notes(80)).to.deep.equal([])
  })
})

describe('a route to a subset that no DestinationRule defines', () => {
  const route = ordersRoutes('- route: [{ destination: { host: orders, subset: v3 } }]')
  const destinationRule = (subset: string): string =>
    resource('DestinationRule', `host: orders\nsubsets: [{ name: ${subset}, labels: { version: v } }]`)

  it('is applied, and its status says so with the line', () => {
    const [status] = rules(`${route}---\n${destinationRule('v1')}`).statuses()
    expect(status).to.include({ state: 'applied' })
    expect(status!.problems).to.deep.equal([
      {
        path: 'spec.http[0].route[0].destination.subset',
        line: 7,
        column: 44,
        message: `subset v3 of ${orders} does not exist, known: v1; requests that are sent there get 503`,
      },
    ])
  })

  it('is said no more once the subset is there, whichever came first', () => {
    const store = ruleStore()
    store.replaceSource('a', one(route))
    expect(store.statuses()[0]!.problems[0]!.message).to.include('no DestinationRule has subsets for it')
    store.replaceSource('b', one(destinationRule('v3')))
    expect(store.statuses()[0]!.problems).to.deep.equal([])
  })
})

describe('a candidate for a rule', () => {
  const timeoutOf = (store: Pick<RuleStore, 'virtualHost'>) => store.virtualHost(orders).spec.http[0]!.timeoutMs

  it('takes the place of the one that this host alone was told, and is of this host like it', () => {
    const store = new RuleStore({ namespace: 'public', group: 'DEFAULT_GROUP', localSource: 'local' })
    store.replaceSource('center', one(withTimeout('1s')))
    store.replaceSource('local', one(withTimeout('2s')))
    const { rules: then, statuses, affected } = store.withCandidate(withTimeout('3s'))
    expect(brief(statuses)).to.deep.equal([['orders', 'applied', true]])
    expect(then.virtualHost(orders).spec.http[0]!.timeoutMs).to.equal(3000)
    expect(then.virtualHost(orders).spec.http[0]!.origin).to.include({ isLocal: true })
    expect(keysOf(affected)).to.deep.equal([orders])
    expect(timeoutOf(store)).to.equal(2000)
  })
})
