/**
 * Who may use a center, and what a host does when its center refuses it or knows nothing: real watchdogs, controls and
 * workers.
 */
import { expect } from 'chai'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { call, Mesh, sharedPort, until } from '../../support/mesh/mesh.ts'
import type { DemoHost } from '../../support/mesh/mesh.ts'

describe('a center and those who call it', function () {
  this.timeout(120_000)
  let mesh: Mesh
  /** Knows the secret of a center that knows the services. */
  let trusted: DemoHost
  /** Has no secret. */
  let stranger: DemoHost
  /** Knows the secret of a center whose registry refuses everything. */
  let unlucky: DemoHost
  let refusing: Server

  before(async () => {
    mesh = await Mesh.openOnFiles()
    const applications = [await mesh.httpApplication('orders', 'v1'), await mesh.lineApplication('ledger', 'v1')]
    for (const { address, port, service } of applications) mesh.tell(service, [{ address, port }])
    const secretFile = join(mesh.directory, 'relay.secret')
    writeFileSync(secretFile, `${'s'.repeat(40)}\n`, { mode: 0o600 })
    refusing = createServer((_, response) => response.writeHead(403).end('no'))
    await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', resolve))
    const nacos = `127.0.0.1:${(refusing.address() as AddressInfo).port}`
    const outbound = [
      { service: 'orders', protocol: 'http' },
      { service: 'ledger', protocol: 'tcp' },
    ] as const
    const addresses = { knowing: mesh.address(), ignorant: mesh.address() }
    const center = (name: keyof typeof addresses, extra: object = {}): DemoHost => {
      const relay = { address: `${addresses[name]}:15443`, allowedNetworks: ['127.0.0.0/8'], secretFile }
      return mesh.host(name, { role: 'center', extra: { relay, ...extra } })
    }
    const agent = (name: string, of: keyof typeof addresses, secret: object): DemoHost =>
      mesh.host(name, { outbound, extra: { center: { addresses: [`${addresses[of]}:15443`], ...secret } } })
    const knowing = center('knowing')
    const ignorant = center('ignorant', { registries: [{ name: 'main', type: 'nacos', servers: [nacos] }] })
    trusted = agent('trusted', 'knowing', { secretFile })
    stranger = agent('stranger', 'knowing', {})
    unlucky = agent('unlucky', 'ignorant', { secretFile })
    const hosts = [trusted, stranger, unlucky]
    for (const one of [knowing, ignorant, ...hosts]) one.start()
    await Promise.all([knowing, ...hosts].map((one) => one.ready(60_000)))
    for (const host of hosts) {
      const port = await host.port('orders')
      await until(15_000, 'orders is reachable', async () => (await call(host.options.address, port)).status === 200)
    }
    await until(15_000, 'the ignorant center listens', () => takesConnections(addresses.ignorant))
  })

  after(async () => {
    await mesh?.close()
    refusing?.close()
  })

  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  function takesConnections(address: string): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = net.connect({ host: address, port: 15_443 })
      socket
        .once('error', () => resolve(false))
        .once('connect', () => {
          resolve(true)
          socket.destroy()
        })
    })
  }

  /** What comes back for one line to `ledger`. */
  function line(host: DemoHost, port: number, text: string): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ host: host.options.address, port })
      let got = ''
      socket.on('data', (bytes) => {
        got += bytes.toString()
        if (got.includes('\n')) socket.end()
      })
      socket.once('error', reject).once('close', () => resolve(got))
      socket.write(`${text}\n`)
    })
  }

  interface Relayed {
    readonly tiers: readonly unknown[]
    readonly statuses: readonly number[]
    readonly line: string
    /** What the relay has counted meanwhile. */
    readonly passedOver: number
    readonly failed: number
  }

  /**
   * One HTTP call by its port, one by the shared port, and one line of TCP, while the generation of the host is dead;
   * again, where it was back before all three had their answers.
   */
  async function relayed(host: DemoHost): Promise<Relayed> {
    const { address } = host.options
    const [http, tcp] = [await host.port('orders'), await host.port('ledger')]
    const relay = async () => (await host.watchdogState()).relay
    for (;;) {
      await host.ready()
      await host.signal('generation', 'SIGKILL')
      await until(20_000, 'the relay accepts', async () => (await relay()).isRelaying)
      const { connections: before } = await relay()
      const [own, shared, said] = await Promise.all([
        call(address, http),
        call(address, sharedPort, { host: 'orders' }),
        line(host, tcp, 'hello'),
      ])
      const { connections, isRelaying } = await relay()
      await host.ready()
      if (!isRelaying) continue
      return {
        tiers: [own.headers['x-mesh-tier'], shared.headers['x-mesh-tier']],
        statuses: [own.status, shared.status],
        line: said,
        passedOver: connections.passedOver - before.passedOver,
        failed: connections.failed - before.failed,
      }
    }
  }

  it('a host that knows the secret is served by the center, HTTP and TCP', async () => {
    const seen = await relayed(trusted)
    expect(seen).to.deep.include({ tiers: ['center', 'center'], statuses: [200, 200], passedOver: 0, failed: 0 })
    expect(seen.line).to.include('hello')
  })

  it('a host without the secret is refused by the center, and served by the last known endpoints', async () => {
    const seen = await relayed(stranger)
    expect(seen).to.deep.include({ tiers: ['direct', 'direct'], statuses: [200, 200] })
    expect(seen.line).to.include('hello')
  })

  it('a center whose registry refuses everything is passed over: not known yet is no answer', async () => {
    const seen = await relayed(unlucky)
    expect(seen).to.deep.include({ tiers: ['direct', 'direct'], statuses: [200, 200], passedOver: 3 })
    expect(seen.line).to.include('hello')
  })
})
