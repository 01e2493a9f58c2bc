/** The SDK without an agent, then without a center, then without anybody, under load. */
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { MeshError } from '../../../contracts/errors.ts'
import { startEmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import type { EmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { BoltCodec } from '../../../rpc/bolt/bolt.ts'
import { bolt } from '../../../sdk/index.ts'
import { dampMinMs } from '../../../sdk/tiers/proxy.ts'
import type { Mesh as SdkMesh } from '../../../sdk/index.ts'
import { Mesh, relayOf, until } from '../../support/mesh/mesh.ts'
import type { DemoHost } from '../../support/mesh/mesh.ts'
import { boltFrame, boltRequest } from '../../support/rpc/bolt-frames.ts'
import { startApplication } from '../../support/rpc/far-sides.ts'
import type { RpcApplication } from '../../support/rpc/far-sides.ts'
import { SdkApplications } from '../../support/sdk/sdk-applications.ts'
import { CallLoad, goodText } from '../../support/sdk/call-load.ts'
import { startCounting } from '../../support/sdk/counting-application.ts'
import type { CountingApplication } from '../../support/sdk/counting-application.ts'
import { agentOf, startSdkHost, whenRegistered } from '../../support/sdk/sdk-host.ts'
import { isTaken, killHost } from '../../support/sdk/kill-host.ts'

const perSecond = 300
/** A call takes so long that some are always under way. */
const workMs = 10

function causeOf(error: unknown): unknown {
  return error instanceof TypeError ? error.cause : error
}

describe('the SDK when agents and centers die', function () {
  this.timeout(180_000)
  let registry: EmbeddedRegistry
  let mesh: Mesh
  let alpha: DemoHost
  let center: DemoHost
  let sdks: SdkApplications
  let orders: CountingApplication
  let rpc: RpcApplication
  let secretFile: string

  before(async () => {
    sdks = new SdkApplications(() => ({ agent: agentOf(alpha), centerSecretFile: secretFile }))
    registry = await startEmbeddedRegistry()
    mesh = await Mesh.open([{ name: 'main', type: 'nacos', servers: [registry.address] }])
    orders = await startCounting(mesh.address(), 'orders', workMs)
    rpc = await startApplication(new BoltCodec(), () => boltFrame({ type: 0, content: Buffer.from('pong') }))
    secretFile = join(sdks.folder, 'secret')
    writeFileSync(secretFile, `${'s'.repeat(40)}\n`, { mode: 0o600 })
    center = mesh.host('center', { role: 'center' })
    const { address } = center.options
    const relay = { address: `${address}:15443`, allowedNetworks: ['127.0.0.0/8'], secretFile }
    Object.assign(center.options, { extra: { relay } })
    center.start()
    await center.ready()
    alpha = await startSdkHost(mesh, { extra: { center: { addresses: [relayOf(center)], secretFile } } })
    const provider = sdks.open('provider', {
      mode: 'direct',
      nacos: { servers: [registry.address], allowLoopbackEndpoints: true },
    })
    provider.register({ service: 'orders', address: orders.address, port: orders.port, protocol: 'http' })
    provider.register({ service: 'com.shop.Ping', address: '127.0.0.1', port: rpc.port, protocol: 'bolt' })
    await whenRegistered(provider)
  })

  after(async () => {
    await sdks?.close()
    await orders?.close()
    await rpc?.close()
    await mesh?.close()
    await registry?.close()
  })

  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  const caller = (sdk: SdkMesh) => (call: string) => {
    const method = Number(call) % 2 === 0 ? 'GET' : 'POST'
    const answer = sdk
      .fetch('http://orders/', { method, headers: { 'x-call': call }, ...(method === 'GET' ? {} : { body: 'x' }) })
      .then(async (response) => {
        await goodText(response)
        return response.headers.get('x-mesh-tier') ?? 'agent'
      })
    return { method, answer }
  }

  /** A call of Bolt that is not idempotent. */
  async function ping(sdk: SdkMesh): Promise<void> {
    const reply = await sdk.rpc(bolt()).call('com.shop.Ping', boltRequest('com.shop.Ping', 'ping', { id: 5 }))
    expect(reply.toString('latin1')).to.match(/pong$/)
  }

  it('calls go on by a center, then directly; only what was under way fails, and no POST is served twice', async () => {
    const sdk = sdks.open('falling')
    const pinging = sdks.open('pinging')
    await Promise.all([sdk.ready(), pinging.ready()])
    await sdk.fetch('http://orders/')
    await ping(pinging)
    await until(30_000, 'the endpoints are known and kept', () => {
      let known = false
      pinging.subscribe('com.shop.Ping', ({ endpoints }) => (known = endpoints.length === 1))()
      if (known) sdk.subscribe('orders', ({ endpoints }) => (known = endpoints.length === 1))()
      return Promise.resolve(known && readdirSync(sdks.folder).includes('falling.hostmesh.json'))
    })
    const file = statSync(join(sdks.folder, 'falling.hostmesh.json'))
    expect(file.mode & 0o777).to.equal(0o600)
    ;(orders.seen as Map<string, number>).clear()

    const load = new CallLoad(perSecond, caller(sdk))
    const served = (): ReturnType<SdkMesh['status']>['calls']['served'] => sdk.status().calls.served
    await until(30_000, 'the agent serves', () => Promise.resolve(served().agent >= 100))
    await killHost(alpha, 15_001)
    const agentDeadAt = performance.now()
    await until(30_000, 'the center serves', () => Promise.resolve(served().center >= 100))
    // a center that is slow to take the connection is passed over
    let pings = 1
    await until(30_000, 'the center serves this one as well', async () => {
      pings++
      await ping(pinging)
      return pinging.status().calls.served.center === 1
    })
    const centerDiesAt = performance.now()
    await killHost(center, 15_443)
    const centerDeadAt = performance.now()
    await until(30_000, 'the endpoint is called', () => Promise.resolve(served().direct >= 100))
    pings++
    await ping(pinging)
    const counts = await load.stop()

    const text = JSON.stringify(counts.failures.slice(0, 3).map(({ method, error }) => [method, String(error)]))
    // what is idempotent went on; of the others failed what was under way when a host died
    expect(
      counts.failures.every(({ method }) => method === 'POST'),
      text,
    ).to.equal(true)
    for (const { error, startedAt, endedAt } of counts.failures) {
      const isOfAgent = startedAt <= agentDeadAt
      const isOfCenter = startedAt <= centerDeadAt && endedAt >= centerDiesAt
      const times = { startedAt, endedAt, agentDeadAt, centerDiesAt, centerDeadAt }
      expect(isOfAgent || isOfCenter, JSON.stringify({ ...times, reason: String(causeOf(error)) })).to.equal(true)
      expect(causeOf(error)).to.be.instanceOf(MeshError).and.to.have.property('retry', 'idempotent')
    }
    const posts = [...orders.seen].filter(([call]) => Number(call) % 2 === 1)
    expect(posts.every(([, count]) => count === 1)).to.equal(true)
    expect(counts.answers.get('center')).to.be.above(0)
    expect(counts.answers.get('direct')).to.be.above(0)
    expect(pinging.status().calls).to.deep.include({
      failed: 0,
      served: { agent: 1, center: 1, direct: pings - 2, registry: 0 },
    })
    console.log(`      ${counts.calls} calls; of those under way ${counts.failures.length} POSTs failed`)
  })

  it('a start at which nobody answers goes by what was kept on disk', async () => {
    const again = sdks.open('falling', { agent: `${mesh.address()}:15000` })
    const response = await again.fetch('http://orders/', { method: 'POST', body: 'hello' })
    expect([response.status, await response.text()]).to.deep.equal([200, 'ordershello'])
    expect(response.headers.get('x-mesh-tier')).to.equal('direct')
  })

  it('the agent is used again when it has answered for a while', async () => {
    const sdk = sdks.opened.find((one) => one.status().calls.served.agent > 0)!
    alpha.start()
    // it may have answered for some time when it says that it is ready
    let silentAt = performance.now()
    for (let at = silentAt; !(await isTaken(alpha.options.address, 15_001)); at = performance.now()) silentAt = at
    await alpha.ready()
    const before = sdk.status().calls.served
    await until(60_000, 'the agent serves again', async () => {
      await (await sdk.fetch('http://orders/')).text()
      return sdk.status().calls.served.agent > before.agent
    })
    expect(performance.now() - silentAt).to.be.above(dampMinMs)
  })
})
