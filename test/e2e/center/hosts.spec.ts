/** A center with 200 hosts that report, one of them real: who is silent, what is probed, what subscribers are told. */
import { expect } from 'chai'
import { execFile } from 'node:child_process'
import { Agent, request } from 'node:http'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { hostsPath, type HostView } from '../../../contracts/host-report.ts'
import type { ServiceSpec } from '../../../contracts/snapshot.ts'
import { hostReport } from '../../support/center/host-report.ts'
import { type DemoApplication, type DemoHost, Mesh, until } from '../../support/mesh/mesh.ts'

const admin = 'a'.repeat(40)
const agentToken = 'b'.repeat(40)
const hostCount = 200
const instancePort = 8080

/** A host that is one port and reports. */
class SimulatedHost {
  readonly name: string
  readonly address: string
  connections = 0
  isReporting = true
  private readonly server: Server

  constructor(name: string, address: string) {
    this.name = name
    this.address = address
    this.server = createServer((socket) => {
      this.connections++
      socket.destroy()
    })
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject)
      this.server.listen({ host: this.address, port: instancePort }, resolve)
    })
  }

  die(): Promise<void> {
    return new Promise((resolve) => this.server.close(() => resolve()))
  }
}

describe('a center with 200 hosts', function () {
  this.timeout(180_000)
  let mesh: Mesh
  let home: string
  let center: DemoHost
  let agent: DemoHost
  let orders: DemoApplication
  let api: { host: string; port: number }
  const hosts: SimulatedHost[] = []
  const connections = new Agent({ keepAlive: true, maxSockets: 16 })
  let reporting: NodeJS.Timeout

  function put(name: string, body: string, token: string): Promise<number> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          ...api,
          agent: connections,
          method: 'PUT',
          path: `${hostsPath}/${name}`,
          headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        },
        (incoming) => {
          incoming.resume()
          incoming.once('end', () => resolve(incoming.statusCode ?? 0))
        },
      )
      outgoing.once('error', reject)
      outgoing.end(body)
    })
  }
  const tell = ({ name, address }: SimulatedHost): Promise<number> =>
    put(name, JSON.stringify(hostReport(name, address)), admin)
  async function views(): Promise<ReadonlyMap<string, HostView>> {
    const { text } = await center.admin.get('/hosts?format=json')
    return new Map((JSON.parse(text) as { hosts: HostView[] }).hosts.map((view) => [view.host, view]))
  }
  /** What a subscriber has, or the workers of the center itself. */
  async function healthyAt(service: string, node: DemoHost = agent): Promise<Map<string, boolean>> {
    const { text } = await node.admin.get('/config_dump?resource=services')
    const services = JSON.parse(text) as Record<string, ServiceSpec>
    const endpoints = Object.values(services).find((one) => one.key.endsWith(`@@${service}`))?.endpoints.endpoints ?? []
    return new Map(endpoints.map(({ address, healthy }) => [address, healthy]))
  }
  /** Of a counter, by the value of its one label. */
  async function counted(node: DemoHost, name: string): Promise<Readonly<Record<string, number>>> {
    const { text } = await node.admin.get('/metrics')
    const found = [...text.matchAll(new RegExp(`^${name}\\{result="([^"]+)"\\} (\\d+)$`, 'gm'))]
    return Object.fromEntries(found.map(([, result, count]) => [result!, Number(count)]))
  }
  const probes = (some: readonly SimulatedHost[]): number => some.reduce((sum, one) => sum + one.connections, 0)

  before(async () => {
    home = mkdtempSync(join(tmpdir(), 'hostmesh-hosts-'))
    mkdirSync(join(home, 'registry'))
    mesh = await Mesh.open([{ name: 'files', type: 'file', directory: join(home, 'registry') }])
    const tokensFile = join(home, 'tokens')
    const logins = [
      { user: 'root', token: admin, role: 'admin' },
      { user: 'agent', token: agentToken, role: 'host' },
    ]
    writeFileSync(tokensFile, stringify(logins), { mode: 0o600 })
    const tokenFile = join(home, 'token')
    writeFileSync(tokenFile, `${agentToken}\n`, { mode: 0o600 })
    for (let index = 0; index < hostCount; index++) hosts.push(new SimulatedHost(`h${index}`, mesh.address()))
    await Promise.all(hosts.map((host) => host.listen()))
    const list = (some: readonly SimulatedHost[]) => some.map(({ address }) => ({ address, port: instancePort }))
    for (const [service, some] of [
      ['fleet', hosts],
      ['pair', hosts.slice(0, 2)],
    ] as const)
      writeFileSync(join(home, 'registry', `${service}.yaml`), stringify({ service, endpoints: list(some) }))
    const at = mesh.address()
    api = { host: at, port: 15_016 }
    center = await mesh.startedHost('center', {
      role: 'center',
      extra: {
        host: { name: 'center', address: at },
        rulesApi: { address: `${at}:15016`, tokensFile },
        xds: { address: `${at}:15010`, tokensFile },
        relay: { address: `${at}:15443`, allowedNetworks: ['127.0.0.0/8'] },
        admin: { address: `${at}:15000` },
      },
    })
    orders = await mesh.httpApplication('orders', 'v1')
    agent = await mesh.startedHost('agent', {
      applications: [orders],
      outbound: [
        { service: 'fleet', protocol: 'tcp' },
        { service: 'pair', protocol: 'tcp' },
      ],
      extra: {
        registries: [{ name: 'center', type: 'center', servers: [`${at}:15010`], tokenFile }],
        center: { reports: { servers: [`${at}:15016`], tokenFile } },
      },
    })
    await Promise.all(hosts.map(tell))
    reporting = setInterval(() => {
      for (const host of hosts) if (host.isReporting) void tell(host).catch(() => undefined)
    }, 2000)
    await until(20_000, 'the fleet', async () => (await healthyAt('fleet')).size === hostCount)
    // as if a host without an agent had called them
    for (const service of ['fleet', 'pair']) {
      await center.admin.get(`/discovery?service=${service}`)
      await until(20_000, 'the center itself', async () => (await healthyAt(service, center)).size > 0)
    }
  })
  after(async () => {
    clearInterval(reporting)
    connections.destroy()
    await mesh?.close()
    await Promise.all(hosts.map((host) => host.die()))
    rmSync(home, { recursive: true, force: true })
  })

  it('shows what the agent of a host says of it', async () => {
    await until(15_000, 'the report of the agent', async () => {
      const [application] = (await views()).get('agent')?.report.applications ?? []
      return application?.health === 'healthy'
    })
    const { state, report } = (await views()).get('agent')!
    expect(state).to.equal('reporting')
    expect(report).to.include({ host: 'agent', address: agent.options.address, generation: 1, isReady: true })
    expect(report.applications[0]).to.include({ service: 'public/DEFAULT_GROUP@@orders', port: orders.port })
    expect(report.registries).to.deep.equal([{ name: 'center', type: 'center', isConnected: true, problem: '' }])
    const shown = await new Promise<string>((resolve) => {
      const words = ['cli/main.ts', 'hosts', 'agent', '-c', center.configPath]
      execFile(process.execPath, words, (_error, stdout, stderr) => resolve(`${stdout}${stderr}`))
    })
    expect(shown).to.contain('agent  reporting').and.to.contain('public/DEFAULT_GROUP@@orders')
  })

  it('hears of the restart of an agent, which reports on', async () => {
    await agent.reload()
    await until(15_000, 'the next generation', async () => (await views()).get('agent')?.report.generation === 2)
    await until(15_000, 'the report of the restart', async () => {
      const restart = (await views()).get('agent')?.report.lastRestart
      return restart?.kind === 'reload' && restart.outcome === 'done'
    })
  })

  it('refuses a report of 10 MiB and a host that says it is another one, and takes their next good ones', async () => {
    const name = hosts[5]!.name
    expect(await put('agent', 'x'.repeat(10 * 1024 * 1024), agentToken).catch(() => 413)).to.equal(413)
    expect(await put(name, JSON.stringify(hostReport(name, '127.0.0.1')), agentToken)).to.equal(403)
    expect((await views()).get(name)?.report.address).to.equal(hosts[5]!.address)
    expect((await views()).get('agent')?.state).to.equal('reporting')
  })

  it('probes the instances of silent hosts alone, marks the dead within 15 s and takes them back within 5 s', async () => {
    const dead = hosts.slice(0, 3)
    const silent = hosts[3]!
    const others = hosts.slice(4)
    expect(probes(hosts), 'as long as all report').to.equal(0)
    expect(await counted(center, 'hostmesh_hosts_probes_total'), 'by the center').to.deep.equal({})
    const checked = async (): Promise<number> =>
      (await counted(agent, 'hostmesh_application_checks_total'))['good'] ?? 0
    await until(15_000, 'each agent checks its own', async () => (await checked()) > 0)
    const checksBefore = await checked()
    const beganAt = performance.now()
    for (const host of [...dead, silent]) host.isReporting = false
    await Promise.all(dead.map((host) => host.die()))
    await Promise.all([...dead, silent].map(tell))
    const markedMs = await until(15_000, 'the dead are unhealthy at a subscriber', async () => {
      const found = await healthyAt('fleet')
      return dead.every(({ address }) => found.get(address) === false)
    })
    expect(markedMs, 'not before they are silent').to.be.greaterThan(9000)
    await until(5000, 'the silent one is asked', () => Promise.resolve(silent.connections > 0))
    const found = await healthyAt('fleet')
    expect(
      [...found.values()].filter((healthy) => !healthy),
      'nobody else',
    ).to.have.length(3)
    expect(probes(others), 'of hosts that report').to.equal(0)
    expect(silent.connections).to.be.within(1, 2)
    expect((await views()).get(silent.name)?.state, 'its instance answers').to.equal('silent')
    expect((await views()).get(dead[0]!.name)?.state).to.equal('dead')
    // n + m: each agent its own applications, and the center the instances of the four silent hosts alone
    await until(5000, 'it counts', async () => (await counted(center, 'hostmesh_hosts_probes_total'))['there']! > 0)
    const made = await counted(center, 'hostmesh_hosts_probes_total')
    const seconds = (performance.now() - beganAt) / 1000
    expect(made['there'], 'what the silent one saw').to.be.within(1, silent.connections + 1)
    // two within a second, then one in 5 s
    expect(made['no-answer'], 'of the dead').to.be.within(2 * dead.length, dead.length * (3 + seconds / 5))
    const checks = (await checked()) - checksBefore
    expect(checks, 'of its one application, once a second').to.be.within(1, 2 + seconds / 0.9)
    expect(probes(others), 'by nobody').to.equal(0)
    console.info(
      `      in ${Math.round(seconds)} s: ${checks} checks by the agent of its application, ${made['there']! + made['no-answer']!} of ${dead.length + 1} instances of silent hosts by the center, none of the ${others.length} others`,
    )
    const [first, second] = [...(await healthyAt('pair')).values()]
    expect(
      [first, second].filter((healthy) => healthy),
      'never below the protected share',
    ).to.have.length(1)

    // the center itself is another one that is told, and not the first
    await until(5000, 'the dead are unhealthy for what the center carries itself', async () => {
      const relayed = await healthyAt('fleet', center)
      return dead.every(({ address }) => relayed.get(address) === false)
    })
    expect(
      [...(await healthyAt('fleet', center)).values()].filter((healthy) => !healthy),
      'nobody else',
    ).to.have.length(3)
    expect([...(await healthyAt('pair', center)).values()].filter((healthy) => healthy)).to.have.length(1)

    const [back, stays] = [dead[0]!, dead[1]!]
    const backMs = await until(5000, 'back after its report', async () => {
      await tell(back)
      return (await healthyAt('fleet')).get(back.address) === true
    })
    expect((await healthyAt('fleet')).get(stays.address)).to.equal(false)
    await until(5000, 'back for what the center carries itself', async () => {
      return (await healthyAt('fleet', center)).get(back.address) === true
    })
    console.info(`      marked after ${Math.round(markedMs)} ms, back after ${Math.round(backMs)} ms`)
  })

  it('keeps the hosts and what it found out over its own death', async () => {
    const marked = `${hosts[1]!.address}:${instancePort}`
    await until(70_000, 'the state on disk', () =>
      Promise.resolve(
        readFileSync(join(center.stateDir, 'hosts.json'), 'utf8').includes(`"address":"${hosts[1]!.address}","port"`),
      ),
    )
    await center.signal('generation', 'SIGKILL')
    await until(30_000, 'the center again', async () => (await views()).size === hostCount + 1)
    expect((await views()).get(hosts[1]!.name)?.unhealthyInstances).to.deep.equal([marked])
    const status = await agent.admin.get('/ready?format=json')
    expect(status.status).to.equal(200)
  })
})
