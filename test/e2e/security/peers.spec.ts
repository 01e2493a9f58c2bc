/**
 * A host as another host of its network meets it: only what is meant for the network answers, and nobody there can shut
 * it.
 */
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect } from 'chai'
import { call, Mesh, until, type DemoHost } from '../../support/mesh/mesh.ts'
import { openPeerNamespace, type PeerNamespace } from '../../support/security/network-namespace.ts'
import { askAs, holdSilentAs, runAs } from '../../support/security/other-user.ts'

describe('a host and its peers', function () {
  this.timeout(120_000)
  let network: PeerNamespace
  let mesh: Mesh
  let host: DemoHost
  let application: Server
  let heads: Record<string, unknown>[]
  let inbound: number
  /** Loopback ports of the agent. */
  let loopback: string

  before(async function () {
    const opened = process.getuid!() === 0 ? openPeerNamespace(Math.random) : undefined
    if (opened === undefined) {
      console.log('skipped: network namespaces cannot be made here')
      this.skip()
    }
    network = opened
    heads = []
    application = createServer((incoming, outgoing) => {
      heads.push({ ...incoming.headers })
      incoming.resume()
      outgoing.end('ok')
    }).listen(0, '127.0.0.1')
    await once(application, 'listening')
    mesh = await Mesh.openOnFiles()
    loopback = mesh.address()
    host = mesh.host('host')
    Object.assign(host.options, {
      address: network.here,
      extra: {
        admin: { address: `${loopback}:15000` },
        outbound: { http: `${loopback}:15001`, address: loopback },
        workers: 2,
      },
    })
    host.start()
    await host.ready()
    const { port } = application.address() as AddressInfo
    const made = await host.admin.post('/applications', {
      service: 'orders',
      port,
      protocol: 'http',
      check: { off: true },
    })
    expect(made.status, made.text).to.equal(201)
    inbound = (JSON.parse(made.text) as { inboundPort: number }).inboundPort
    await until(30_000, 'the inbound port serves', async () => (await call(network.here, inbound)).status === 200)
  })
  after(async () => {
    application?.close()
    await mesh?.close()
    network?.close()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  const peer = (asks: Parameters<typeof askAs>[1]) => askAs(0, asks, network.name)

  it('does not answer them at admin, at outbound ports, or at the application itself', async () => {
    const { port } = application.address() as AddressInfo
    for (const [address, at] of [
      [network.here, 15_000],
      [network.here, 15_001],
      [network.here, 8848],
      [network.here, port],
      [loopback, 15_000],
    ] as const) {
      const [heard] = await peer([{ at: `${address}:${at}`, line: 'GET /ready' }])
      expect(heard!.status, `${address}:${at}: ${heard!.text}`).to.equal(0)
    }
  })

  it('shows them metrics and readiness, and takes no change there', async () => {
    const at = (port: number): string => `${network.here}:${port}`
    const heard = await peer([
      { at: at(15_020), line: 'GET /metrics' },
      { at: at(15_021), line: 'GET /ready' },
      { at: at(15_021), line: 'POST /drain_listeners' },
      { at: at(15_020), line: 'POST /quitquitquit' },
      { at: at(15_020), line: 'GET /config_dump' },
      { at: at(15_021), line: 'GET /explain' },
    ])
    expect(heard.map(({ status }) => status)).to.deep.equal([200, 200, 403, 403, 404, 404])
  })

  it('believes no word of theirs about who they are', async () => {
    heads.length = 0
    const forged = {
      'x-mesh-source': 'payments',
      x_mesh_source: 'payments',
      'x-mesh-anything': '1',
      'x-forwarded-client-cert': 'URI=spiffe://mesh/payments',
      'X-Forwarded_Client-Cert': 'URI=spiffe://mesh/payments',
    }
    const [heard] = await peer([{ at: `${network.here}:${inbound}`, line: 'GET /', headers: forged }])
    if (heard!.status === 200) {
      const names = Object.keys(heads[0]!).map((name) => name.replaceAll('_', '-'))
      expect(names.filter((name) => name.startsWith('x-mesh-') || name === 'x-forwarded-client-cert')).to.deep.equal([])
    } else expect(heard!.status).to.equal(400)
  })

  it('is not shut by their silent connections, neither readiness nor metrics nor the inbound port', async () => {
    const holders = await Promise.all(
      [15_020, 15_021, inbound].map((port) => holdSilentAs(0, network.here, port, 300, network.name)),
    )
    try {
      for (const [port, path] of [
        [15_020, '/metrics'],
        [15_021, '/ready'],
        [inbound, '/'],
      ] as const)
        for (let tries = 0; tries < 5; tries++)
          expect((await call(network.here, port, {}, path)).status, `${port}`).to.equal(200)
      const [theirs] = await peer([{ at: `${network.here}:15021`, line: 'GET /ready' }])
      expect(theirs!.status, 'the peer’s own newest connection').to.be.oneOf([200, 0])
    } finally {
      for (const holder of holders) holder.kill('SIGKILL')
    }
  })

  it('is not let in at a center whose allowed networks do not name them, whatever they say of themselves', async () => {
    const center = mesh.host('center', { role: 'center' })
    Object.assign(center.options, {
      extra: { relay: { address: `${network.here}:15443`, allowedNetworks: ['127.0.0.0/8', '10.0.0.0/8'] } },
    })
    center.start()
    await center.ready()
    const script = `const { connect } = require('node:net')
      const [host, port] = process.argv[1].split(' ')
      const socket = connect(Number(port), host, () => socket.write('PROXY TCP4 127.0.0.1 127.0.0.1 1 2\\r\\nGET / HTTP/1.1\\r\\nhost: orders\\r\\n\\r\\n'))
      let heard = ''
      socket.on('data', (bytes) => (heard += bytes)).on('error', () => {}).on('close', () => process.stdout.write('heard ' + JSON.stringify(heard)))`
    const child = runAs(0, script, `${network.here} 15443`, network.name)
    let text = ''
    child.stdout!.on('data', (bytes: Buffer) => (text += bytes.toString()))
    await once(child, 'close')
    expect(text).to.equal('heard ""')
    expect((await center.admin.get('/stats?filter=relay_strangers')).text).to.match(/: 1/)
  })
})
