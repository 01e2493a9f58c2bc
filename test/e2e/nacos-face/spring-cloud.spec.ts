/**
 * Two ordinary Spring Cloud Alibaba applications, each pointed at the Nacos face of its host: found by name, called
 * through both agents, configured by Nacos.
 */
import { expect } from 'chai'
import type { EmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { startEmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { startFaceHosts } from '../../support/mesh/face-hosts.ts'
import type { DemoHost } from '../../support/mesh/mesh.ts'
import { Mesh, until } from '../../support/mesh/mesh.ts'
import { ForeignClient } from '../../support/nacos-clients/foreign-client.ts'
import { springCloudSample } from '../../support/nacos-clients/launches.ts'

describe('Spring Cloud Alibaba 2023.0 through the Nacos face', function () {
  this.timeout(120_000)
  let registry: EmbeddedRegistry | undefined
  let mesh: Mesh | undefined
  let alpha: DemoHost
  let beta: DemoHost
  let shop: ForeignClient
  let orders: ForeignClient
  const programs: ForeignClient[] = []

  const publish = (content: string): Promise<Response> =>
    fetch(`http://${registry!.address}/nacos/v1/cs/configs`, {
      method: 'POST',
      body: new URLSearchParams({ dataId: 'shop.properties', group: 'DEFAULT_GROUP', content }),
    })

  before(async function () {
    this.timeout(400_000)
    const launch = await springCloudSample('2023.0.3.3')
    if ('missing' in launch) {
      console.log(`skipped: ${launch.missing}`)
      return this.skip()
    }
    registry = await startEmbeddedRegistry({ mergeWindowMs: 50 })
    mesh = await Mesh.open([{ name: 'main', type: 'nacos', servers: [registry.address] }])
    ;[alpha, beta] = await startFaceHosts(mesh)
    await publish('greeting=first')
    const start = (host: DemoHost, name: string): ForeignClient => {
      const program = new ForeignClient(launch, `${host.options.address}:8848`, name, host.options.address)
      programs.push(program)
      return program
    }
    shop = start(alpha, 'shop')
    orders = start(beta, 'orders')
    await Promise.all([started(shop), started(orders)])
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed')
      console.log([mesh?.report(), ...programs.map((one) => one.log())].join('\n'))
  })
  after(async () => {
    await Promise.all(programs.map((one) => one.kill()))
    await mesh?.close()
    await registry?.close()
  })

  async function instancesOf(
    service: string,
  ): Promise<{ ip: string; port: number; metadata: Record<string, string> }[]> {
    const reply = await fetch(`http://${registry!.address}/nacos/v1/ns/instance/list?serviceName=${service}`)
    return ((await reply.json()) as { hosts: { ip: string; port: number; metadata: Record<string, string> }[] }).hosts
  }

  it('registers a web application: the registry has the inbound port of its host', async () => {
    const port = await orders.ask('ready')
    await until(20_000, 'the registry knows it', async () => (await instancesOf('orders')).length === 1)
    const [seen] = await instancesOf('orders')
    expect(seen?.ip).to.equal(beta.options.address)
    expect(seen?.port).to.be.within(21_000, 21_999)
    expect(seen?.metadata).to.include({ 'hostmesh.app-port': port, 'preserved.register.source': 'SPRING_CLOUD' })
  })

  it('finds it with DiscoveryClient on a localhost port, and calls it by name through its load balancer', async () => {
    await until(30_000, 'it is found', async () => (await shop.ask('list', 'orders')) !== '')
    const [ip = '', port = ''] = (await shop.ask('list', 'orders')).split(':')
    expect(ip).to.match(/^127\./)
    expect(Number(port)).to.be.within(20_000, 20_999)
    await until(30_000, 'it answers', async () => {
      try {
        return (await shop.ask('call', 'orders')) === 'hello from orders'
      } catch {
        // the load balancer keeps an empty list for some seconds
        return false
      }
    })
  })

  it('reads its properties from Nacos configuration at the start, and hears of a change', async () => {
    expect(await shop.ask('property', 'greeting')).to.equal('first')
    await publish('greeting=second')
    await until(20_000, 'the change', async () => (await shop.ask('property', 'greeting')) === 'second')
  })

  it('takes itself out when it ends', async () => {
    await orders.close()
    await until(20_000, 'it is gone', async () => (await instancesOf('orders')).length === 0)
  })
})

/** A virtual machine that starts two of them at once on a busy machine may take longer than one answer's patience. */
async function started(program: ForeignClient): Promise<void> {
  for (let tries = 1; ; tries++)
    try {
      await program.ask('ready')
      return
    } catch (error) {
      if (tries === 3) throw error
    }
}
