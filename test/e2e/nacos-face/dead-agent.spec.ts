/**
 * Applications whose only link to the mesh is an ordinary Nacos client, or the SDK without one, started while the agent
 * of their host is dead: a center registers them at a real Nacos, and the agent has them when it is back.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { stringify } from 'yaml'
import { ForeignClient, type Launch } from '../../support/nacos-clients/foreign-client.ts'
import { goClient, npmClient } from '../../support/nacos-clients/launches.ts'
import { call, Mesh, sharedPort, until, type DemoApplication, type DemoHost } from '../../support/mesh/mesh.ts'
import { SdkApplications } from '../../support/sdk/sdk-applications.ts'
import { agentOf } from '../../support/sdk/sdk-host.ts'
import { needsNacos, sharedNacos } from '../../support/nacos/server.ts'

interface Instance {
  readonly ip: string
  readonly port: number
  readonly healthy: boolean
  readonly metadata: Readonly<Record<string, string>>
}

const token = 'h'.repeat(40)

describe('route 5: Nacos clients that start while their agent is dead', function () {
  this.timeout(120_000)
  let registry: string
  let mesh: Mesh
  let center: DemoHost
  let host: DemoHost
  let caller: DemoHost
  const clients: ForeignClient[] = []
  let sdks: SdkApplications
  const applications = new Map<string, DemoApplication>()
  /** One speaks gRPC, its instance lives by its connection; the other HTTP, by heartbeats. */
  const kinds = { grpc: `grpc-${process.pid}`, http: `http-${process.pid}`, sdk: `sdk-${process.pid}` }

  /** Of one that dies. */
  const brief = `brief-${process.pid}`

  const face = (): string => `${host.options.address}:8848`
  async function instancesOf(service: string): Promise<readonly Instance[]> {
    const reply = await fetch(`http://${registry}/nacos/v1/ns/instance/list?serviceName=${service}`)
    return ((await reply.json()) as { hosts: Instance[] }).hosts
  }
  const portsOf = async (service: string): Promise<number[]> => (await instancesOf(service)).map(({ port }) => port)
  const launched = async (context: Mocha.Context, launch: Promise<Launch>): Promise<ForeignClient> => {
    const found = await launch
    if ('missing' in found) {
      console.log(`skipped: ${found.missing}`)
      return context.skip()
    }
    const client = new ForeignClient(found, face())
    clients.push(client)
    return client
  }
  const relaying = async (): Promise<boolean> => (await host.watchdogState()).relay.nacosFace?.isRelaying === true
  /** No control comes up: what it reads is broken. */
  async function killAgent(): Promise<void> {
    writeFileSync(host.configPath, `${readFileSync(host.configPath, 'utf8')}nonsense: [\n`)
    await host.signal('generation', 'SIGKILL')
    await until(30_000, 'the watchdog has the ports of the face', relaying)
  }
  const reach = async (service: string): Promise<number> =>
    (await call(caller.options.address, sharedPort, { 'x-mesh-service': service })).status

  before(async function () {
    this.timeout(300_000)
    await needsNacos(this)
    registry = (await sharedNacos('2.3.1')).address
    mesh = await Mesh.open([{ name: 'main', type: 'nacos', servers: [registry] }])
    sdks = new SdkApplications(() => ({ agent: agentOf(host) }))
    const tokensFile = join(mesh.directory, 'tokens')
    writeFileSync(tokensFile, stringify([{ user: 'beta', token, role: 'host' }]), { mode: 0o600 })
    const tokenFile = join(mesh.directory, 'token')
    writeFileSync(tokenFile, `${token}\n`, { mode: 0o600 })
    center = mesh.host('center', { role: 'center' })
    const at = center.options.address
    Object.assign(center.options, {
      extra: { rulesApi: { address: `${at}:15016`, tokensFile }, hosts: { nacosFace: true } },
    })
    host = mesh.host('beta')
    const { address } = host.options
    Object.assign(host.options, {
      extra: {
        nacosFace: { enabled: true, address, httpPort: 8848, grpcPort: 9848 },
        center: { addresses: [`${at}:15443`], reports: { servers: [`${at}:15016`], tokenFile, interval: '500ms' } },
      },
    })
    caller = mesh.host('alpha')
    for (const one of [center, host, caller]) one.start()
    await Promise.all([center, host, caller].map((one) => one.ready()))
    for (const service of Object.values(kinds))
      applications.set(service, await mesh.httpApplication(service, 'v1', address))
    await until(20_000, 'the center has heard of the face', async () =>
      (await center.admin.get('/hosts?format=json')).text.includes('"nacosFace"'),
    )
    // an earlier run of the application has kept what the agent said
    const earlier = sdks.open('shop')
    await until(20_000, 'the agent has told the SDK of itself', async () => earlier.status().agent.host !== undefined)
    await earlier.close()
  })
  after(async () => {
    await sdks?.close()
    await Promise.all(clients.map((one) => one.close()))
    await mesh?.close()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  it('are registered through a center, with their own address and port, and called by others', async function () {
    await killAgent()
    const dying = await launched(this, goClient())
    await dying.ask('register', brief, host.options.address, 7777)
    await until(20_000, 'the one that dies is at the registry', async () => (await portsOf(brief)).length === 1)
    await dying.kill()
    const [grpc, http] = [await launched(this, goClient()), await launched(this, npmClient())]
    for (const [client, service] of [
      [grpc, kinds.grpc],
      [http, kinds.http],
    ] as const) {
      const { address, port } = applications.get(service)!
      await until(30_000, `${service} registers`, async () => {
        await client.ask('register', service, address, port, 'version=v1')
        return true
      })
      await until(20_000, `${service} is at the registry`, async () => (await portsOf(service)).includes(port))
      const [instance, ...more] = await instancesOf(service)
      expect(more).to.deep.equal([])
      expect(instance).to.include({ ip: host.options.address, healthy: true })
      expect(instance!.metadata).to.include({ version: 'v1' }).and.not.have.property('hostmesh.inbound')
      await until(20_000, `others call ${service}`, async () => (await reach(service)) === 200)
    }
    const { address, port } = applications.get(kinds.http)!
    await until(
      20_000,
      'they find each other',
      async () => (await grpc.ask('list', kinds.http)) === `${address}:${port}`,
    )
  })

  it('are registered by the SDK likewise, which has no registry of its own', async () => {
    const { address, port } = applications.get(kinds.sdk)!
    const registered = sdks.open('shop').register({ service: kinds.sdk, address, port, protocol: 'http' })
    await until(30_000, 'the SDK has registered it', async () => registered.state === 'registered')
    expect(registered).to.include({ activeMode: 'mesh', problem: undefined })
    await until(20_000, 'it is at the registry', async () => (await portsOf(kinds.sdk)).includes(port))
    const [instance, ...more] = await instancesOf(kinds.sdk)
    expect(more).to.deep.equal([])
    expect(instance).to.include({ ip: address, healthy: true })
    await until(20_000, 'others call it', async () => (await reach(kinds.sdk)) === 200)
  })

  it('announce addresses of their own host only', async () => {
    const at = 'serviceName=elsewhere&ip=192.0.2.1&port=8080'
    const reply = await fetch(`http://${face()}/nacos/v1/ns/instance?${at}`, { method: 'POST' })
    expect([reply.status, await reply.text()]).to.deep.equal([
      400,
      '192.0.2.1:8080: no address of this host; applications of this host only are announced here, register with 127.0.0.1 or with an address of this host',
    ])
  })

  it('are taken back by the center when they die', async () => {
    await until(40_000, 'it is gone', async () => (await portsOf(brief)).length === 0)
  })

  it('are given back to the agent: never nowhere, no call fails, in the end announced by the agent alone', async () => {
    let isOver = false
    const failures: string[] = []
    const watch = Object.values(kinds).map(async (service) => {
      while (!isOver) {
        if ((await instancesOf(service)).filter(({ healthy }) => healthy).length === 0)
          failures.push(`${service} is gone`)
        const status = await reach(service).catch(String)
        if (status !== 200) failures.push(`${service}: ${status}`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    })
    try {
      host.writeFiles()
      await host.ready()
      for (const service of Object.values(kinds))
        await until(100_000, `${service} is announced by its agent alone`, async () => {
          const [one, ...more] = await instancesOf(service)
          const appPort = one?.metadata['hostmesh.app-port']
          return more.length === 0 && appPort === String(applications.get(service)!.port)
        })
    } finally {
      isOver = true
      await Promise.all(watch)
    }
    expect(failures).to.deep.equal([])
    expect((await host.watchdogState()).relay.nacosFace).to.include({ isRelaying: false, active: 0 })
  })
})
