/** An agent whose registry is a control plane for Envoys: calls go where it says, also while it lies or is dead. */
import { expect } from 'chai'
import {
  type Answer,
  type DemoApplication,
  type DemoHost,
  Mesh,
  call,
  sharedPort,
  until,
} from '../../support/mesh/mesh.ts'
import {
  ControlPlane,
  assignment,
  cluster,
  listener,
  needsControlPlane,
  routes,
  type Resource,
} from '../../support/xds/control-plane.ts'

describe('an agent whose registry is a control plane for Envoys', function () {
  this.timeout(120_000)
  let plane: ControlPlane
  let mesh: Mesh
  let agent: DemoHost
  let v1: DemoApplication
  let v2: DemoApplication

  const applications = (): Resource[] => [
    cluster('orders-v1'),
    assignment('orders-v1', [v1]),
    cluster('orders-v2'),
    assignment('orders-v2', [v2]),
    cluster('ledger'),
    assignment('ledger', [v2]),
  ]
  const shop = (...list: readonly object[]): Resource[] => [listener('shop', 'shop'), routes('shop', ['orders'], list)]
  const to = (name: string): object => ({ match: { prefix: '/' }, route: { cluster: name } })
  const ask = (service: string, path = '/'): Promise<Answer> =>
    call(agent.options.address, sharedPort, { 'x-mesh-service': service }, path)
  const versionOf = async (service: string, path = '/'): Promise<string> =>
    (JSON.parse((await ask(service, path)).body) as { version: string }).version

  before(async function () {
    const program = await needsControlPlane(this)
    mesh = await Mesh.open([])
    v1 = await mesh.httpApplication('orders', 'v1')
    v2 = await mesh.httpApplication('orders', 'v2')
    plane = await ControlPlane.start(program)
    await plane.say([...applications(), ...shop(to('orders-v1'))])
    agent = await mesh.startedHost('agent', {
      extra: { registries: [{ name: 'envoys', type: 'xds', servers: [`127.0.0.1:${plane.port}`], node: 'host-7' }] },
    })
  })
  after(async () => {
    await mesh?.close()
    await plane?.kill()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  it('calls a domain by its routes, and a cluster by its name', async () => {
    await until(20_000, 'orders', async () => (await versionOf('orders')) === 'v1')
    await until(20_000, 'ledger', async () => (await versionOf('ledger')) === 'v2')
    expect(plane.requests[0]?.node).to.equal('host-7')
  })

  it('follows changes of routes: by path, by share, and an answer of its own', async () => {
    const teapot = { match: { path: '/tea' }, directResponse: { status: 418, body: { inlineString: 'tea' } } }
    const half = {
      clusters: [
        { name: 'orders-v1', weight: 1 },
        { name: 'orders-v2', weight: 1 },
      ],
    }
    await plane.say([
      ...applications(),
      ...shop(
        teapot,
        { ...to('orders-v2'), match: { prefix: '/new' } },
        { match: { prefix: '/' }, route: { weightedClusters: half } },
      ),
    ])
    await until(20_000, 'the answer', async () => (await ask('orders', '/tea')).status === 418)
    await until(20_000, 'the path', async () => (await versionOf('orders', '/new')) === 'v2')
    const seen = new Set<string>()
    await until(20_000, 'both', async () => seen.add(await versionOf('orders')).size === 2)
  })

  it('follows changes of endpoints', async () => {
    const moved = applications().map((one) => (one['clusterName'] === 'ledger' ? assignment('ledger', [v1]) : one))
    await plane.say([...moved, ...shop(to('orders-v1'))])
    await until(20_000, 'the other endpoint', async () => (await versionOf('ledger')) === 'v1')
  })

  it('keeps what was good when a resource cannot be translated, refuses it by name, and says so', async () => {
    await plane.say([...applications(), ...shop({ match: { prefix: '/' }, route: { clusterHeader: 'x-cluster' } })])
    await until(20_000, 'the refusal', async () => plane.refusals('RouteConfiguration').length > 0)
    expect(plane.refusals('RouteConfiguration')[0]).to.contain('virtual_hosts[0].routes[0].route.cluster_header')
    await until(20_000, 'the reason in the status', async () =>
      (await agent.admin.get('/server_info?format=hostmesh')).text.includes('route.cluster_header: not supported'),
    )
    expect(await versionOf('orders')).to.equal('v1')
    // what came with it is in force
    await until(20_000, 'the endpoint', async () => (await versionOf('ledger')) === 'v2')
    await plane.say([...applications(), ...shop(to('orders-v2'))])
    await until(20_000, 'the good route', async () => (await versionOf('orders')) === 'v2')
  })

  it('serves on while the control plane is dead, also after a restart of its own, and follows it when it is back', async () => {
    await plane.kill()
    await until(30_000, 'the loss in the status', async () =>
      (await agent.admin.get('/server_info?format=hostmesh')).text.includes('E_REGISTRY_UNREACHABLE'),
    )
    expect(await versionOf('orders')).to.equal('v2')
    expect(await agent.reload()).to.equal('done')
    expect(await versionOf('orders')).to.equal('v2')
    await plane.start()
    await plane.say([...applications(), ...shop(to('orders-v1'))])
    await until(40_000, 'the new route', async () => (await versionOf('orders')) === 'v1')
  })
})
