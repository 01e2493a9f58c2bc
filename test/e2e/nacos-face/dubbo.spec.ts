/**
 * An ordinary Dubbo provider and consumer, each pointed at the Nacos face of its host: the calls go through both
 * agents.
 */
import { expect } from 'chai'
import type { EmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { startEmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { freePort } from '../../support/free-port.ts'
import { startFaceHosts } from '../../support/mesh/face-hosts.ts'
import { counted } from '../../support/mesh/host-facts.ts'
import type { DemoHost } from '../../support/mesh/mesh.ts'
import { Mesh, until } from '../../support/mesh/mesh.ts'
import type { Launch } from '../../support/nacos-clients/foreign-client.ts'
import { ForeignClient } from '../../support/nacos-clients/foreign-client.ts'
import { dubboSample } from '../../support/nacos-clients/launches.ts'

describe('Dubbo 3.3 through the Nacos face', function () {
  this.timeout(120_000)
  let launch: Exclude<Launch, { missing: string }>
  let registry: EmbeddedRegistry | undefined
  let mesh: Mesh | undefined
  let alpha: DemoHost
  let beta: DemoHost
  const programs: ForeignClient[] = []

  before(async function () {
    this.timeout(300_000)
    const found = await dubboSample('3.3.0')
    if ('missing' in found) {
      console.log(`skipped: ${found.missing}`)
      return this.skip()
    }
    launch = found
    registry = await startEmbeddedRegistry({ mergeWindowMs: 50 })
    mesh = await Mesh.open([{ name: 'main', type: 'nacos', servers: [registry.address] }])
    ;[alpha, beta] = await startFaceHosts(mesh)
  })
  afterEach(async function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
    await Promise.all(programs.splice(0).map((one) => one.kill()))
  })
  after(async () => {
    await mesh?.close()
    await registry?.close()
  })

  for (const mode of ['interface', 'instance'])
    it(`calls a provider with ${mode === 'interface' ? 'interface-level' : 'application-level'} discovery`, async () => {
      const port = await freePort(beta.options.address)
      const start = (host: DemoHost, ...more: string[]): ForeignClient => {
        const program = new ForeignClient(launch, `${host.options.address}:8848`, ...more)
        programs.push(program)
        return program
      }
      const provider = start(beta, 'provider', mode, beta.options.address, String(port))
      await provider.ask('ready')
      const before = await openedConnections(beta)
      const consumer = start(alpha, 'consumer', mode)
      await consumer.ask('ready')
      await until(30_000, 'an answer', async () => (await consumer.ask('greet', 'bob')) === 'hello bob')
      expect(await consumer.ask('greet', 'eve')).to.equal('hello eve')
      expect(await openedConnections(beta)).to.be.greaterThan(before)
    })
})

/** TCP connections that the agent has taken for its local applications. */
function openedConnections(host: DemoHost): Promise<number> {
  return counted(host, 'istio_tcp_connections_opened_total', 'reporter="destination"')
}
