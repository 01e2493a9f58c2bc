/**
 * A POST is executed once at most, whatever dies meanwhile: the application's connection, the host's generation, the
 * center's. Real processes, moments by chance.
 */
import { expect } from 'chai'
import { Agent, createServer, request } from 'node:http'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { call, Mesh, relayOf, until } from '../../support/mesh/mesh.ts'
import type { DemoHost } from '../../support/mesh/mesh.ts'

const posts = 1000
const lanes = 8

describe('a POST through restarts and tiers', function () {
  this.timeout(240_000)
  let mesh: Mesh
  let host: DemoHost
  let center: DemoHost
  let application: Server
  const executed = new Map<string, number>()

  before(async () => {
    mesh = await Mesh.openOnFiles()
    application = createServer((incoming, response) => {
      incoming.resume().once('end', () => {
        if (incoming.method === 'POST') {
          const id = incoming.url!
          executed.set(id, (executed.get(id) ?? 0) + 1)
        }
        const chance = Math.random()
        if (chance < 0.1) incoming.socket.destroy()
        else if (chance < 0.2) setTimeout(() => incoming.socket.resetAndDestroy(), Math.random() * 20)
        else if (chance < 0.5) setTimeout(() => response.end('done'), Math.random() * 30)
        else response.end('done')
      })
    })
    await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve))
    const { port } = application.address() as AddressInfo
    mesh.tell('pay', [{ address: '127.0.0.1', port }])
    center = mesh.host('center', { role: 'center' })
    host = mesh.host('host', { outbound: [{ service: 'pay', protocol: 'http' }], centers: [relayOf(center)] })
    for (const one of [center, host]) one.start()
    await Promise.all([center.ready(60_000), host.ready(60_000)])
    const own = await host.port('pay')
    await until(15_000, 'pay is reachable', async () => (await call(host.options.address, own)).status === 200)
  })

  after(async () => {
    await mesh?.close()
    application?.closeAllConnections()
    application?.close()
  })

  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  it(`is executed once at most in ${posts} calls and more while everything dies at random moments, in every tier`, async () => {
    const port = await host.port('pay')
    const agent = new Agent({ keepAlive: true, maxSockets: lanes })
    const tiers: Record<string, number> = {}
    let sent = 0
    const post = (): Promise<void> =>
      new Promise((resolve) => {
        const path = `/pay/${sent++}`
        const outgoing = request(
          { agent, host: host.options.address, port, path, method: 'POST', timeout: 20_000 },
          (incoming) => {
            const tier = String(incoming.headers['x-mesh-tier'])
            if (incoming.statusCode === 200) tiers[tier] = (tiers[tier] ?? 0) + 1
            incoming.resume().once('close', resolve)
          },
        )
        outgoing.once('error', () => resolve())
        outgoing.end('x'.repeat(100))
      })
    let isOver = false
    const kill = async (): Promise<void> => {
      const dying = sent + 20 + Math.random() * 200
      await until(60_000, 'a moment in the calls', () => Promise.resolve(sent > dying))
      await host.signal('generation', 'SIGKILL')
      await until(20_000, 'the relay accepts', async () => (await host.watchdogState()).relay.isRelaying)
      await until(30_000, 'the workers serve', async () => !(await host.watchdogState()).relay.isRelaying)
    }
    const dying = (async () => {
      try {
        for (let round = 0; round < 2; round++) await kill()
        // Dies while it serves: what it has is answered or lost, and the last known endpoints take the rest.
        const death = kill()
        // the death comes at a moment of the calls
        await until(60_000, 'the relay accepts', async () => (await host.watchdogState()).relay.isRelaying)
        await center.stop()
        await death
        await kill()
      } finally {
        isOver = true
      }
    })()
    await Promise.all(
      Array.from({ length: lanes }, async () => {
        while (!isOver || sent < posts) {
          await post()
          await new Promise((resolve) => setTimeout(resolve, Math.random() * 20))
        }
      }),
    )
    await dying
    agent.destroy()
    expect([...executed].filter(([, count]) => count > 1)).to.deep.equal([])
    expect(executed.size).to.be.greaterThan(posts / 2)
    expect(tiers).to.include.keys('agent', 'center', 'direct')
  })
})
