import { expect } from 'chai'
import { app, resource } from '../../support/routing.ts'
import { TrafficWorld } from '../../support/traffic-world.ts'

const versions = [
  { version: 'v1', labels: { version: 'v1' } },
  { version: 'v2', labels: { version: 'v2' } },
]
const subsets = '[{ name: v1, labels: { version: v1 } }, { name: v2, labels: { version: v2 } }]'
const policy = (host: string, callers: string, more = ''): string =>
  resource('MeshPolicy', `hosts: [${host}]\nrouteOverrides: { callers: [${callers}]${more} }`, `of-${host}`)

describe('x-mesh-route through a worker', () => {
  let world: TrafficWorld

  before(async () => {
    world = await TrafficWorld.start({
      caller: app('tester'),
      apps: { orders: versions, 'orders-canary': versions, stock: [{}], ledger: [{}] },
      listeners: { orders: 'http' },
      rules: [
        resource('DestinationRule', `host: orders\nsubsets: ${subsets}`, 'orders'),
        resource('DestinationRule', `host: orders-canary\nsubsets: ${subsets}`, 'canary'),
        policy('orders', 'tester', ', destinations: [orders-canary]'),
        policy('stock', 'somebody-else'),
      ].join('---\n'),
    })
  })
  after(() => world.stop())
  beforeEach(() => world.forget())

  const call = (target: string, route: string, via?: string) =>
    world.call(target, { headers: { 'x-mesh-route': route }, ...(via === undefined ? {} : { via }) })

  it('sends calls to a subset, or to another service, on the shared port and on that of the service', async () => {
    expect((await call('orders/', 'orders=;v2')).body).to.equal('orders v2')
    expect((await call('orders/', 'orders=;v1')).body).to.equal('orders v1')
    expect((await call('orders/', 'orders=orders-canary;v2')).body).to.equal('orders-canary v2')
    expect((await call('any/', 'DEFAULT_GROUP@@orders=orders-canary;v1', 'orders')).body).to.equal('orders-canary v1')
  })

  it('passes the field on where the policy names the caller, and leaves it out otherwise', async () => {
    await call('orders/', 'orders=;v2, stock=;v3')
    expect(world.received('orders').map(({ headers }) => headers['x-mesh-route'])).to.deep.equal([
      'orders=;v2, stock=;v3',
    ])
    for (const service of ['stock', 'ledger']) {
      expect((await call(`${service}/`, `${service}=orders`)).body).to.equal(service)
      expect(world.received(service).map(({ headers }) => headers['x-mesh-route'])).to.deep.equal([undefined])
    }
  })

  it('refuses what the policy does not name, what nobody defines, and what cannot be read', async () => {
    const answers = await Promise.all(
      ['orders=ledger', 'orders=;v9', 'orders=', '\u00ff', `orders=;${'v'.repeat(2000)}`].map((text) =>
        call('orders/', text),
      ),
    )
    expect(answers.map((answer) => [answer.status, answer.headers['x-mesh-error']])).to.deep.equal([
      [400, 'E_ROUTE_OVERRIDE_REFUSED'],
      [503, 'E_BALANCE_NO_ENDPOINT'],
      [400, 'E_ROUTE_OVERRIDE_REFUSED'],
      [400, 'E_ROUTE_OVERRIDE_REFUSED'],
      [400, 'E_ROUTE_OVERRIDE_REFUSED'],
    ])
    expect([...world.received('orders'), ...world.received('ledger')]).to.deep.equal([])
  })
})
