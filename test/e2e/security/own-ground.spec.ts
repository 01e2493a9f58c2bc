/** What another user or a registry could turn against the agent itself: its directories, its own ports, its memory. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { expect } from 'chai'
import { freePort } from '../../support/free-port.ts'
import { call, Mesh, sharedPort, until, type DemoHost } from '../../support/mesh/mesh.ts'

const bob = 4202
const main = join(import.meta.dirname, '../../../cli/main.ts')

describe('directories that another user owns or may write to', function () {
  this.timeout(120_000)
  let folder: string

  before(function () {
    if (process.getuid!() !== 0) {
      console.log('skipped: only root can play several users')
      this.skip()
    }
    folder = mkdtempSync(join(tmpdir(), 'hm-ground-'))
    chmodSync(folder, 0o755)
  })
  after(() => folder !== undefined && rmSync(folder, { recursive: true, force: true }))

  const owned = (path: string): void => chownSync(path, bob, bob)
  const open = (path: string): void => chmodSync(path, 0o777)
  for (const [which, spoil, why] of [
    ['run', owned, `belongs to user ${bob}`],
    ['run', open, 'others may write to it'],
    ['state', owned, `belongs to user ${bob}`],
    ['state', open, 'others may write to it'],
  ] as const) {
    it(`are refused before anything is started: ${which}, ${why}`, async () => {
      const at = mkdtempSync(join(folder, 'host-'))
      chmodSync(at, 0o755)
      for (const name of ['run', 'state']) mkdirSync(join(at, name), { mode: 0o700 })
      spoil(join(at, which))
      const config = join(at, 'agent.yaml')
      const directories = `runDir: ${join(at, 'run')}\nstateDir: ${join(at, 'state')}`
      writeFileSync(config, `${directories}\nadmin: { address: off }\noutbound: { http: off }\n`)
      const child = spawn(process.execPath, [main, 'watchdog', '-c', config], { stdio: ['ignore', 'pipe', 'pipe'] })
      const closed = once(child, 'close') as Promise<[number | null]>
      const stop = setTimeout(() => child.kill('SIGKILL'), 20_000)
      const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), closed])
      clearTimeout(stop)
      expect(code, out + err).to.be.greaterThan(0)
      expect(out + err)
        .to.include(join(at, which))
        .and.to.include(why)
      expect(readdirSync(join(at, which)), 'nothing was put there').to.deep.equal([])
    })
  }
})

describe('a registry that leads back into the agent, or that names more than can be held', function () {
  this.timeout(120_000)
  let folder: string
  let mesh: Mesh
  let host: DemoHost
  let port: number

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hm-registry-'))
    port = await freePort()
    mesh = await Mesh.open([{ name: 'files', type: 'file', directory: folder }])
    const orders = await mesh.httpApplication('orders', 'v1')
    const address = orders.address
    const put = (service: string, endpoints: readonly object[]): void =>
      writeFileSync(join(folder, `${service}.json`), JSON.stringify({ service, endpoints }))
    put('orders', [{ address, port: orders.port }])
    put('circle', [{ address, port }])
    put(
      'crowd',
      Array.from({ length: 10_001 }, (_, n) => ({
        address: `10.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`,
        port: 80,
      })),
    )
    host = mesh.host('host', { outbound: [], applications: [] })
    Object.assign(host.options, {
      address,
      extra: {
        outbound: { http: `${address}:15001`, address, services: [{ service: 'circle', protocol: 'tcp', port }] },
      },
    })
    host.start()
    await host.ready()
  })
  after(async () => {
    await mesh?.close()
    rmSync(folder, { recursive: true, force: true })
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  it('makes no circle of connections: an endpoint that is a listener of ours is refused, and said to be', async () => {
    const accepted = async (): Promise<number> => {
      const { text: stats } = await host.admin.get('/stats/prometheus')
      return Number(/^hostmesh_connections_accepted_total\S* (\d+)/m.exec(stats)?.[1])
    }
    const before = await accepted()
    for (let n = 0; n < 5; n++) {
      const socket = connect(port, host.options.address)
      await new Promise<void>((resolve) => {
        socket.on('error', () => {})
        socket.on('close', () => resolve())
      })
    }
    // the watchdog asks for signs of life beside them
    expect((await accepted()) - before, 'none of them came in a second time').to.be.within(5, 9)
    const refusal = /circle: endpoint \S+ of files is refused \(own-listener\)/
    await until(20_000, 'the log says why', async () => refusal.test(mesh.report()))
  })

  it('refuses a set that is too large, says so, and stops nothing else', async () => {
    const asked = await call(host.options.address, 15_001, { host: 'crowd' })
    expect(asked.status).to.be.oneOf([502, 503, 504])
    const started = performance.now()
    expect((await call(host.options.address, 15_001, { host: 'orders' })).status).to.equal(200)
    expect(performance.now() - started).to.be.lessThan(3000)
    const refusal = /crowd\.json:\d+: endpoints: .*10000 items; the file is not used/
    await until(30_000, 'the refusal is told', async () => refusal.test(mesh.report()))
  })
})

describe('a caller who would have the agent call itself, or ask it for more than is read', function () {
  this.timeout(120_000)
  let mesh: Mesh
  let host: DemoHost

  before(async () => {
    mesh = await Mesh.open([])
    host = mesh.host('host', { extra: { fallbackNetworks: ['127.0.0.0/8', '0.0.0.0/0'] } })
    host.start()
    await host.ready()
  })
  after(() => mesh?.close())
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  const control = async (): Promise<number> =>
    (await host.watchdogState()).generations[0]!.children.find(({ role }) => role === 'control')!.pid

  it('is led to a fallback of its choice, and never to a port of the agent or a metadata service', async () => {
    const { address } = host.options
    const outside = await mesh.httpApplication('outside', 'v1')
    const asked = (fallback: string, method = 'GET', path = '/'): Promise<number> =>
      new Promise((resolve, reject) => {
        const headers = { 'x-mesh-service': 'nobody', 'x-mesh-fallback': fallback }
        const outgoing = request(
          { host: address, port: sharedPort, method, path, headers, agent: false },
          (incoming) => {
            incoming.resume()
            incoming.on('end', () => resolve(incoming.statusCode!))
          },
        )
        outgoing.on('error', reject)
        outgoing.end()
      })
    expect(await asked(`${outside.address}:${outside.port}`), 'what is allowed').to.equal(200)
    const before = await control()
    for (const own of [`${address}:15000`, `[::ffff:${address}]:15000`, `${address}:15020`])
      expect(await asked(own, 'GET', '/server_info'), own).to.be.oneOf([403, 404, 502, 503])
    expect(await asked(`${address}:15000`, 'POST', '/quitquitquit')).to.be.oneOf([403, 404, 502, 503])
    expect(await asked('169.254.169.254:80')).to.be.oneOf([403, 404, 502, 503])
    expect(await control(), 'control lives').to.equal(before)
  })

  it('has its connection ended at its second question in a row, when it reads no answer', async () => {
    const { address } = host.options
    const refused = async (): Promise<number> => {
      const { text: stats } = await host.admin.get('/stats/prometheus')
      return Number(
        /^hostmesh_admin_connections_refused_total\{[^}]*bound="pipelined"[^}]*\} (\d+)/m.exec(stats)?.[1] ?? 0,
      )
    }
    const socket = connect(15_020, address)
    socket.on('error', () => {})
    const closed = once(socket, 'close')
    socket.pause()
    socket.write('GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n'.repeat(1500))
    socket.resume()
    await closed
    await until(20_000, 'it is counted', async () => (await refused()) === 1)
    expect((await call(address, 15_020, {}, '/metrics')).status, 'for others').to.equal(200)
  })
})

describe('endpoints that lead back under another name of this host', function () {
  this.timeout(120_000)
  let folder: string
  let mesh: Mesh
  let host: DemoHost
  const circles: { service: string; protocol: string; port: number; at: string }[] = []

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'hm-circles-'))
    mesh = await Mesh.open([{ name: 'files', type: 'file', directory: folder }])
    // an address of the loopback that no interface lists, another spelling of one, and an IPv4 address within IPv6
    for (const at of ['127.9.9.9', '0:0:0:0:0:0:0:1', '::ffff:7f00:1']) {
      const circle = { service: `circle-${circles.length}`, protocol: 'tcp', port: await freePort(), at }
      circles.push(circle)
      const endpoints = [{ address: at, port: circle.port }]
      writeFileSync(join(folder, `${circle.service}.json`), JSON.stringify({ service: circle.service, endpoints }))
    }
    host = mesh.host('host')
    const services = circles.map(({ service, protocol, port }) => ({ service, protocol, port }))
    Object.assign(host.options, {
      extra: { outbound: { http: `${host.options.address}:15001`, address: '::', services } },
    })
    host.start()
    await host.ready()
  })
  after(async () => {
    await mesh?.close()
    rmSync(folder, { recursive: true, force: true })
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  it('make no circle of connections: each caller is closed, none of them comes in a second time', async () => {
    const metric = async (name: string): Promise<number> => {
      const { text: stats } = await host.admin.get('/stats/prometheus')
      return Number(new RegExp(`^${name}\\S* (\\d+)`, 'm').exec(stats)?.[1])
    }
    for (const { port, at } of circles) {
      const [accepted, refused] = [
        await metric('hostmesh_connections_accepted_total'),
        await metric('hostmesh_loop_dials_total'),
      ]
      const socket = connect(port, '::1')
      await new Promise<void>((resolve) => {
        const stop = setTimeout(() => socket.destroy(), 20_000)
        socket.on('error', () => {})
        socket.on('close', () => {
          clearTimeout(stop)
          resolve()
        })
      })
      const times = (await metric('hostmesh_connections_accepted_total')) - accepted
      expect(times, `${at}: callers and health checks, and none of them again`).to.be.within(1, 3)
      expect(await metric('hostmesh_loop_dials_total'), at).to.be.greaterThan(refused)
    }
  })
})
