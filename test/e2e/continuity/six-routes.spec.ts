/**
 * The six routes between an application, its agent, the watchdog, other agents, a center and the registry, each by its
 * number.
 */
import { expect } from 'chai'
import type { Registration } from '../../../contracts/registry-adapter.ts'
import { startEmbeddedRegistry, type EmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { askWatchdog } from '../../../cli/watchdog-client.ts'
import { createMesh } from '../../../sdk/index.ts'
import { agentOf, sdkHost } from '../../support/sdk/sdk-host.ts'
import { killedUntil, type Served } from '../../support/mesh/dead-agent.ts'
import { counted } from '../../support/mesh/host-facts.ts'
import { call, Mesh, relayOf, sharedPort, until, type DemoApplication, type DemoHost } from '../../support/mesh/mesh.ts'

describe('the six routes', function () {
  this.timeout(120_000)
  let mesh: Mesh
  let registry: EmbeddedRegistry
  let center: DemoHost
  /** Of an application that calls. */
  let caller: DemoHost
  /** Of the application that is called. */
  let provider: DemoHost
  let orders: DemoApplication
  let port: number

  before(async () => {
    registry = await startEmbeddedRegistry({ mergeWindowMs: 100 })
    mesh = await Mesh.open([{ name: 'main', type: 'nacos', servers: [registry.address] }])
    orders = await mesh.httpApplication('orders', 'v1')
    center = mesh.host('center', { role: 'center' })
    provider = mesh.host('provider', { applications: [orders] })
    caller = mesh.host('caller', { outbound: [{ service: 'orders', protocol: 'http' }], centers: [relayOf(center)] })
    const hosts = [center, provider, caller]
    for (const host of hosts) host.start()
    await Promise.all(hosts.map((host) => host.ready()))
    port = await caller.port('orders')
    await until(20_000, 'orders is reachable', async () => (await ask()).status === 200)
  })
  after(async () => {
    await mesh?.close()
    await registry?.close()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  async function ask(): Promise<Served> {
    const { status, headers } = await call(caller.options.address, port)
    return { status, tier: String(headers['x-mesh-tier']) }
  }
  const servedBy = (tier: string, timeoutMs = 20_000): Promise<number> =>
    until(timeoutMs, `the tier ${tier}`, async () => (await ask()).tier === tier)
  /** Requests that came into a host from others. */
  const cameIn = (host: DemoHost): Promise<number> => counted(host, 'istio_requests_total', 'reporter="destination"')
  /** Control and workers of the caller's agent that live. */
  async function processes(): Promise<readonly number[]> {
    const reply = await askWatchdog(caller.runDir, { type: 'status' }, 5000)
    const [generation] = reply.type === 'state' ? reply.state.generations : []
    return (generation?.children ?? []).map(({ pid }) => pid)
  }
  async function atRegistry(
    service = 'orders',
  ): Promise<readonly Pick<Registration, 'port' | 'healthy' | 'metadata'>[]> {
    const answer = await fetch(`http://${registry.address}/nacos/v1/ns/instance/list?serviceName=${service}`)
    return ((await answer.json()) as { hosts: Registration[] }).hosts
  }

  it('1: an application calls its agent, at a localhost port', async () => {
    expect(await ask()).to.deep.equal({ status: 200, tier: 'agent' })
  })

  it('2: the agent calls the agent of the other host, which calls the application', async () => {
    let before = 0
    await until(20_000, 'the figures of the provider', async () => {
      before = await cameIn(provider)
      return true
    })
    for (let count = 0; count < 5; count++) expect((await ask()).status).to.equal(200)
    await until(10_000, 'they came in there', async () => (await cameIn(provider)) === before + 5)
  })

  it('3: the watchdog starts what died again, and refuses nobody meanwhile', async () => {
    const before = await processes()
    expect(before).to.have.length(2)
    await caller.signal('generation', 'SIGKILL')
    for (let count = 0; count < 20; count++) expect((await ask()).status).to.equal(200)
    await until(20_000, 'a control and a worker that are others', async () => {
      const now = await processes()
      return now.length === 2 && now.every((pid) => !before.includes(pid))
    })
    await caller.ready()
    await servedBy('agent')
  })

  it('4: the agent announces its application at the registry, and hears of others from there', async () => {
    const [instance, ...more] = await atRegistry()
    expect(more).to.deep.equal([])
    expect(instance).to.include({ healthy: true })
    expect(instance!.metadata).to.include({ 'hostmesh.inbound': 'true', 'hostmesh.app-port': String(orders.port) })
    expect(instance!.port, "the agent's own port").to.not.equal(orders.port)
    const cart = await mesh.httpApplication('cart', 'v2')
    const words = new URLSearchParams({ serviceName: 'cart', ip: cart.address, port: String(cart.port) })
    await fetch(`http://${registry.address}/nacos/v1/ns/instance?${words.toString()}`, { method: 'POST' })
    await until(20_000, 'an instance that came by the registry', async () => {
      const headers = { 'x-mesh-service': 'cart' }
      return (await call(caller.options.address, sharedPort, headers)).status === 200
    })
  })

  it('5: the application is served by a center while its agent is dead', async () => {
    await killedUntil(caller, 'center', ask)
    await servedBy('agent')
    await caller.ready()
  })

  it('5: an application with the SDK that starts while its agent is dead is announced, and given back to the agent', async () => {
    const late = sdkHost(mesh, 'late')
    const stock = await mesh.httpApplication('stock', 'v1', late.options.address)
    const sdk = createMesh({
      application: 'stock',
      dataDirectory: mesh.directory,
      agent: agentOf(late),
      mode: 'auto',
      overlapMs: 2000,
      nacos: { servers: [registry.address], allowLoopbackEndpoints: true, pollMs: 500 },
    })
    try {
      sdk.register({ service: 'stock', address: stock.address, port: stock.port, protocol: 'http' })
      const ports = async (): Promise<number[]> => (await atRegistry('stock')).map(({ port: one }) => one)
      await until(20_000, 'it is announced by itself', async () => (await ports()).includes(stock.port))
      const headers = { 'x-mesh-service': 'stock' }
      await until(
        20_000,
        'others call it',
        async () => (await call(caller.options.address, sharedPort, headers)).status === 200,
      )
      late.start()
      await late.ready()
      await until(40_000, 'it is announced by its agent alone', async () => {
        const [one, ...more] = await ports()
        expect(one, 'never nowhere').to.not.equal(undefined)
        return more.length === 0 && one !== stock.port
      })
      expect((await call(caller.options.address, sharedPort, headers)).status).to.equal(200)
    } finally {
      await sdk.close()
    }
  })

  it('6: with agent and center dead, it reaches the provider as last known, and finds it at the registry', async () => {
    await center.stop()
    await killedUntil(caller, 'direct', ask)
    // what a client of the registry without an agent does
    const [instance] = await atRegistry()
    const { status } = await call(provider.options.address, instance!.port)
    expect(status).to.equal(200)
    await servedBy('agent')
  })
})
