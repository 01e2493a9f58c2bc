/**
 * Hosts on a real ZooKeeper: an ensemble that loses a member, and ordinary Dubbo applications on both sides of the
 * mesh.
 */
import { connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import type { ServiceName } from '../../../contracts/endpoint.ts'
import type { Registration, RegistryAdapter } from '../../../contracts/registry-adapter.ts'
import { createZooKeeperAdapter } from '../../../registry-adapters/zookeeper/index.ts'
import { type DemoHost, Mesh, call, until } from '../../support/mesh/mesh.ts'
import { freePort } from '../../support/free-port.ts'
import { ForeignClient } from '../../support/nacos-clients/foreign-client.ts'
import type { Launch } from '../../support/nacos-clients/foreign-client.ts'
import { dubboSample, sofaSample } from '../../support/nacos-clients/launches.ts'
import { eventually, recordedDeps, recordingListener } from '../../support/registry-listener.ts'
import { needsZooKeeper, startEnsemble, startZooKeeper } from '../../support/zookeeper/server.ts'
import type { ZooKeeperServer } from '../../support/zookeeper/server.ts'

describe('two hosts and an ensemble of three ZooKeepers', function () {
  this.timeout(240_000)
  let ensemble: ZooKeeperServer[] = []
  let mesh: Mesh
  let alpha: DemoHost
  let beta: DemoHost

  before(async function () {
    await needsZooKeeper(this)
    ensemble = await startEnsemble(3)
    const servers = ensemble.map(({ port }) => `127.0.0.1:${port}`)
    mesh = await Mesh.open([{ name: 'zk', type: 'zookeeper', servers, layout: 'plain', sessionTimeout: '4s' }])
    const orders = await mesh.httpApplication('orders', 'v1')
    const extra = { watchdog: { startDeadline: '120s', probeTimeout: '10s' } }
    beta = mesh.host('beta', { applications: [orders], extra })
    alpha = mesh.host('alpha', { outbound: [{ service: 'orders', protocol: 'http' }], extra })
    for (const host of [alpha, beta]) host.start()
    await Promise.all([alpha.ready(120_000), beta.ready(120_000)])
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })
  after(async () => {
    await (mesh as Mesh | undefined)?.close()
    await Promise.all(ensemble.map((server) => server.stop()))
  })

  const answers = async (): Promise<boolean> =>
    (await call(alpha.options.address, await alpha.port('orders'))).status === 200

  it('call each other through both agents', async () => {
    await until(60_000, 'orders answers', answers)
    const { headers } = await call(alpha.options.address, await alpha.port('orders'))
    expect(headers['x-mesh-tier']).to.equal('agent')
  })

  it('lose no call while each member in turn is killed and comes back', async () => {
    for (const server of ensemble) {
      await server.kill()
      for (let turn = 0; turn < 20; turn++) expect(await answers()).to.equal(true)
      await until(60_000, 'the registry is connected', async () => isConnected(alpha))
      await server.start()
    }
    for (let turn = 0; turn < 20; turn++) expect(await answers()).to.equal(true)
  })

  it('lose no call while all are dead for longer than a session, and register again afterwards', async () => {
    await Promise.all(ensemble.map((server) => server.kill()))
    await until(60_000, 'the loss is seen', async () => !(await isConnected(alpha)))
    const until4s = performance.now() + 5000
    while (performance.now() < until4s) expect(await answers()).to.equal(true)
    await Promise.all(ensemble.map((server) => server.start()))
    await until(60_000, 'both are connected', async () => (await isConnected(alpha)) && (await isConnected(beta)))
    for (let turn = 0; turn < 50; turn++) expect(await answers()).to.equal(true)
  })
})

describe('ordinary Dubbo applications with ZooKeeper', function () {
  this.timeout(240_000)
  const applications = applicationsOn(() => dubboSample('3.3.0'))
  const service = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'DubboSample$Greeter' }

  it('are found where they write themselves, and find and call what is announced for them', async () => {
    const registry = `zookeeper://127.0.0.1:${applications.port()}`
    const adapter = applications.adapter('dubbo')
    const listener = recordingListener()
    adapter.subscribe(service, listener)
    const [first, second] = [await freePort(), await freePort()]
    const itself = applications.start(registry, 'provider', 'interface', '127.0.0.1', String(first))
    await itself.ask('ready')
    // Dubbo decides by itself which address of the machine it announces
    const { endpoints } = await listener.until(({ endpoints: all }) => all[0]?.port === first, 'the provider', 60_000)
    const { address } = endpoints[0]!
    await itself.kill()
    await listener.until(({ endpoints: all }) => all.length === 0, 'it to be gone', 60_000)

    // this one writes itself nowhere
    await applications.start('N/A', 'provider', 'interface', address, String(second)).ask('ready')
    const handle = adapter.register(applications.registration(service, address, second))
    await eventually(() => handle.state === 'registered', 'it to be announced')
    const consumer = applications.start(registry, 'consumer', 'interface')
    await consumer.ask('ready')
    await until(60_000, 'an answer', async () => (await consumer.ask('greet', 'bob')) === 'hello bob')
    await consumer.kill()

    // a localhost port, in the one spelling that Dubbo does not replace by the address of the machine
    const port = await localPort(address, second)
    const direct = applications.start(
      'N/A',
      'consumer',
      'interface',
      `dubbo://[::ffff:127.0.0.1]:${port}/${service.name}`,
    )
    await direct.ask('ready')
    await until(60_000, 'an answer', async () => (await direct.ask('greet', 'eve')) === 'hello eve')
  })
})

describe('ordinary SOFARPC applications with ZooKeeper', function () {
  this.timeout(240_000)
  const applications = applicationsOn(() => sofaSample('5.13.2'))
  const service = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'SofaSample$Greeter' }

  it('are found where they write themselves, and find and call what is announced for them', async () => {
    const registry = `127.0.0.1:${applications.port()}`
    const adapter = applications.adapter('sofa')
    const listener = recordingListener()
    adapter.subscribe(service, listener)
    const [first, second] = [await freePort(), await freePort()]
    const itself = applications.start(registry, '127.0.0.1', String(first))
    await itself.ask('ready')
    await listener.until(({ endpoints: all }) => all[0]?.port === first, 'the provider', 60_000)
    await itself.kill()
    await listener.until(({ endpoints: all }) => all.length === 0, 'it to be gone', 60_000)

    // this one writes itself nowhere
    await applications.start('N/A', '127.0.0.1', String(second)).ask('ready')
    const handle = adapter.register(applications.registration(service, '127.0.0.1', second))
    await eventually(() => handle.state === 'registered', 'it to be announced')
    const consumer = applications.start('consumer', registry)
    await consumer.ask('ready')
    await until(60_000, 'an answer', async () => (await consumer.ask('greet', 'bob')) === 'hello bob')
  })
})

/** A server, the programs of a sample and adapters on it, for the tests of a suite; all of it ends with the suite. */
function applicationsOn(find: () => Promise<Launch>) {
  let launch: Exclude<Launch, { missing: string }>
  let server: ZooKeeperServer
  const programs: ForeignClient[] = []
  const adapters: RegistryAdapter[] = []

  before(async function () {
    await needsZooKeeper(this)
    const found = await find()
    if ('missing' in found) {
      console.log(`skipped: ${found.missing}`)
      return this.skip()
    }
    launch = found
    server = await startZooKeeper()
  })
  after(async () => {
    await Promise.all(programs.map((one) => one.kill()))
    await Promise.all(adapters.map((adapter) => adapter.close()))
    await (server as ZooKeeperServer | undefined)?.stop()
  })

  return {
    port: () => server.port,
    start(registry: string, ...words: string[]): ForeignClient {
      const program = new ForeignClient(launch, registry, ...words)
      programs.push(program)
      return program
    },
    registration: (service: ServiceName, address: string, port: number): Registration => ({
      service,
      address,
      port,
      weight: 1,
      cluster: '',
      healthy: true,
      enabled: true,
      metadata: { version: 'v1', 'hostmesh.protocol': 'tcp', note: 'a=b & c' },
    }),
    adapter(layout: 'dubbo' | 'sofa'): RegistryAdapter {
      const adapter = createZooKeeperAdapter(
        {
          name: 'zk',
          servers: [{ host: '127.0.0.1', port: server.port }],
          layout,
          namespace: 'public',
          group: 'DEFAULT_GROUP',
          sessionTimeoutMs: 10_000,
          auth: () => undefined,
          tls: () => undefined,
          maxEndpoints: 100,
        },
        recordedDeps(),
      )
      adapters.push(adapter)
      adapter.start()
      return adapter
    },
  }
}

/** A port of 127.0.0.1 that leads there, as an agent's does; it ends with the test. */
async function localPort(address: string, port: number): Promise<number> {
  const server = createServer((socket) => {
    const other = connect(port, address)
    socket.pipe(other).pipe(socket)
    for (const one of [socket, other]) one.on('error', () => void [socket, other].map((each) => each.destroy()))
  })
  server.unref()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

async function isConnected(host: DemoHost): Promise<boolean> {
  const { text } = await host.admin.get('/server_info?format=hostmesh')
  return (JSON.parse(text) as { registries: { connected: boolean }[] }).registries.every(({ connected }) => connected)
}
