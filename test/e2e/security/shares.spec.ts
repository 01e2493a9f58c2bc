/** Two users of a host: one keeps as many requests in hand as the agent lets it, the other one calls. */
import { once } from 'node:events'
import { expect } from 'chai'
import { startEmbeddedRegistry, type EmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { call, Mesh, until, type DemoHost } from '../../support/mesh/mesh.ts'
import { askAs, runAs } from '../../support/security/other-user.ts'

const [greedy, other] = [4201, 4202]

/** Begins requests whose content never comes, again and again; says so when as many were begun as were asked for. */
const taker = `
const { connect } = require('node:net')
const [host, port, count] = process.argv[1].split(' ')
let begun = 0
for (let i = 0; i < Number(count); i++) {
  const dial = () => {
    const socket = connect(Number(port), host)
    socket.on('connect', () => { socket.write('POST / HTTP/1.1\\r\\nHost: orders\\r\\nContent-Length: 9\\r\\n\\r\\n'); if (++begun === 4 * Number(count)) process.stdout.write('on') })
    socket.on('error', () => {}); socket.on('close', () => setTimeout(dial, 5)); socket.resume()
  }
  dial()
}
`

describe('one user who takes as many connections as it gets', function () {
  this.timeout(60_000)
  let registry: EmbeddedRegistry
  let mesh: Mesh
  let host: DemoHost

  before(async function () {
    if (process.getuid!() !== 0) {
      console.log('skipped: only root can play several users')
      this.skip()
    }
    registry = await startEmbeddedRegistry({ mergeWindowMs: 50 })
    mesh = await Mesh.open([{ name: 'main', type: 'nacos', servers: [registry.address] }])
    const orders = await mesh.httpApplication('orders', 'v1')
    host = mesh.host('host', {
      applications: [orders],
      outbound: [{ service: 'orders', protocol: 'http' }],
      extra: { limits: { maxConnections: 40 } },
    })
    host.start()
    await host.ready()
    await until(30_000, 'orders is reachable', async () => (await callOrders()).status === 200)
  })
  after(async () => {
    await mesh?.close()
    await registry?.close()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  const callOrders = () => call(host.options.address, 15_001, { host: 'orders' })

  it('leaves room for the others, and is counted', async () => {
    const { address } = host.options
    const held = runAs(greedy, taker, `${address} 15001 100`)
    try {
      await once(held.stdout!, 'data')
      const ask = { at: `${address}:15001`, line: 'GET /', headers: { host: 'orders' } }
      const heard = await askAs(
        other,
        Array.from({ length: 20 }, () => ask),
      )
      expect(heard.map(({ status }) => status)).to.deep.equal(Array.from({ length: 20 }, () => 200))
      const { text } = await host.admin.get('/stats/prometheus')
      const counted = Number(/^hostmesh_connections_over_share_total\S* (\d+)/m.exec(text)?.[1])
      expect(counted).to.be.greaterThan(0)
      const line = `user ${greedy} has its share of the 40 connections`
      await until(30_000, 'a line in the log', async () => mesh.report().includes(line))
    } finally {
      held.kill('SIGKILL')
    }
  })
})
