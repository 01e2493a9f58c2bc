import { expect } from 'chai'
import { keepAliveLoad } from '../../support/continuity/callers.ts'
import { killedUntil, type Served } from '../../support/mesh/dead-agent.ts'
import { counted, inboundPort } from '../../support/mesh/host-facts.ts'
import { call, Mesh, relayOf, until } from '../../support/mesh/mesh.ts'
import type { DemoApplication, DemoHost } from '../../support/mesh/mesh.ts'

describe('whole hosts with control, workers, watchdog and a center', function () {
  this.timeout(120_000)
  let mesh: Mesh
  let center: DemoHost
  let host: DemoHost
  let orders: DemoApplication

  before(async () => {
    mesh = await Mesh.openOnFiles()
    orders = await mesh.httpApplication('orders', 'v1')
    mesh.tell('orders', [{ address: orders.address, port: orders.port }])
    center = mesh.host('center', { role: 'center' })
    host = mesh.host('host', {
      applications: [orders],
      outbound: [{ service: 'orders', protocol: 'http' }],
      centers: [relayOf(center)],
      extra: { workers: 2 },
    })
    for (const one of [center, host]) one.start()
    await Promise.all([center.ready(), host.ready()])
    await until(15_000, 'orders is reachable', async () => (await callOrders()).status === 200)
  })

  after(async () => {
    await mesh?.close()
  })

  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  async function callOrders(): Promise<Served> {
    const answer = await call(host.options.address, await port())
    return { status: answer.status, tier: String(answer.headers['x-mesh-tier']) }
  }

  let knownPort: number | undefined
  async function port(): Promise<number> {
    knownPort ??= await host.port('orders')
    return knownPort
  }

  /** Probe requests of the watchdog are counted too, without a service. */
  const requestsServed = (): Promise<number> => counted(host, 'istio_requests_total', 'orders')

  it('counters go on over a hot restart: what the old workers counted is not forgotten, nor counted twice', async () => {
    for (let round = 0; round < 50; round++) await callOrders()
    const before = await requestsServed()
    expect(before).to.be.at.least(50)
    expect(await host.reload()).to.equal('done')
    await host.ready()
    await until(20_000, 'the new workers report', async () => (await requestsServed()) >= before)
    expect(await requestsServed()).to.equal(before)
  })

  it('a hot restart under load loses nothing, with everything that a real control does', async () => {
    const load = await keepAliveLoad(await port(), 8, '/', { host: host.options.address })
    for (let round = 0; round < 3; round++) expect(await host.reload()).to.equal('done')
    const { answered, failures } = await load.stop()
    expect(failures).to.deep.equal([])
    expect(answered).to.be.above(100)
  })

  it('a dead generation is replaced by the center, a dead center by the last known endpoints, and both take their place again', async () => {
    await callOrders()
    await killedUntil(host, 'center', callOrders)
    await until(20_000, 'the workers serve', async () => (await callOrders()).tier === 'agent')
    await host.ready()
    await center.stop()
    await killedUntil(host, 'direct', callOrders)
    await until(20_000, 'the workers serve', async () => (await callOrders()).tier === 'agent')
    await host.ready()
    center.start()
    await center.ready()
  })

  it('the inbound port of a dead generation leads to the application', async () => {
    const inbound = await inboundPort(host, 'orders')
    expect((await call(host.options.address, inbound)).status).to.equal(200)
    await host.signal('generation', 'SIGKILL')
    for (let round = 0; round < 20; round++) {
      const answer = await call(host.options.address, inbound)
      expect(answer.status).to.equal(200)
    }
    await host.ready()
  })
})
