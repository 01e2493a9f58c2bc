/** The SDK between the mesh and the registry itself: modes change under load, and nothing is lost. */
import { expect } from 'chai'
import { startEmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import type { EmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { BoltCodec } from '../../../rpc/bolt/bolt.ts'
import { bolt } from '../../../sdk/index.ts'
import type { Mesh as SdkMesh } from '../../../sdk/index.ts'
import { Mesh, until } from '../../support/mesh/mesh.ts'
import type { DemoHost } from '../../support/mesh/mesh.ts'
import { boltFrame, boltRequest } from '../../support/rpc/bolt-frames.ts'
import { startApplication } from '../../support/rpc/far-sides.ts'
import { SdkApplications } from '../../support/sdk/sdk-applications.ts'
import { CallLoad, goodText } from '../../support/sdk/call-load.ts'
import type { LoadCounts } from '../../support/sdk/call-load.ts'
import { agentOf, startSdkHost, whenRegistered } from '../../support/sdk/sdk-host.ts'
import { startCounting } from '../../support/sdk/counting-application.ts'
import type { CountingApplication } from '../../support/sdk/counting-application.ts'

/** The long form: `HOSTMESH_SWITCHES=50 npm run soak:sdk`. */
const switches = Number(process.env['HOSTMESH_SWITCHES'] ?? '3')
const perSecond = Number(process.env['HOSTMESH_CALLS'] ?? '2000')

describe('the SDK between mesh and registry', function () {
  this.timeout(60_000 + switches * 5000)
  let registry: EmbeddedRegistry
  let mesh: Mesh
  let host: DemoHost
  let sdks: SdkApplications
  const applications: CountingApplication[] = []

  before(async () => {
    sdks = new SdkApplications(() => ({
      mode: 'direct',
      agent: agentOf(host),
      nacos: { servers: [registry.address], allowLoopbackEndpoints: true, pollMs: 500, modePollMs: 200 },
    }))
    registry = await startEmbeddedRegistry()
    mesh = await Mesh.open([{ name: 'main', type: 'nacos', servers: [registry.address] }])
    host = await startSdkHost(mesh)
    const { address } = host.options
    for (const name of ['one', 'two']) applications.push(await startCounting(address, name))
    const provider = sdks.open('provider')
    for (const { port } of applications) provider.register({ service: 'orders', address, port, protocol: 'http' })
    await whenRegistered(provider)
  })

  after(async () => {
    await sdks?.close()
    await Promise.all(applications.map((one) => one.close()))
    await mesh?.close()
    await registry?.close()
  })

  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  const activeModeOf = (sdk: SdkMesh, service = 'orders'): string | undefined =>
    sdk.status().services.find(({ name }) => name === service)?.activeMode

  async function whenActive(sdk: SdkMesh, mode: string, service?: string): Promise<void> {
    await until(30_000, `calls go ${mode}: ${JSON.stringify(sdk.status().services)}`, () =>
      Promise.resolve(activeModeOf(sdk, service) === mode),
    )
  }

  /** Back and forth, with calls in each mode; then the load ends. */
  async function switchUnder(load: CallLoad, sdk: SdkMesh, service: string): Promise<LoadCounts> {
    await whenActive(sdk, 'direct', service)
    for (let round = 0; round < switches; round++)
      for (const mode of ['mesh', 'direct'] as const) {
        sdk.setMode(mode)
        await whenActive(sdk, mode, service)
        const { calls } = load.counts
        await until(30_000, 'some calls in that mode', () =>
          Promise.resolve(load.counts.calls >= calls + perSecond / 10),
        )
      }
    return load.stop()
  }

  /** Each call was answered, by both ways, and came to an application once. */
  function noneIsLost(load: CallLoad, sdk: SdkMesh, times: readonly number[]): void {
    const { counts } = load
    expect(counts.failures, JSON.stringify(counts.failures.slice(0, 3))).to.have.length(0)
    const { served, repeated } = sdk.status().calls
    expect(sdk.status().modeChanges).to.equal(2 * switches)
    expect(served.agent).to.be.above(0)
    expect(served.registry).to.be.above(0)
    expect(served.agent + served.registry).to.equal(counts.calls)
    expect(times.length).to.equal(counts.calls)
    expect(times.every((count) => count === 1)).to.equal(true)
    console.log(
      `      ${counts.calls} calls (${Math.round(load.perSecond)}/s), ${2 * switches} changes of mode, 0 lost, ${repeated} sent on`,
    )
  }

  const caller = (sdk: SdkMesh) => (call: string) => {
    const method = Number(call) % 2 === 0 ? 'GET' : 'POST'
    const answer = sdk
      .fetch('http://orders/', {
        method,
        headers: { 'x-call': call },
        ...(method === 'GET' ? {} : { body: '' }),
      })
      .then(goodText)
    return { method, answer }
  }

  it('calls change the mode by a call of the application, in both directions under load, without a loss', async () => {
    const sdk = sdks.open('switching')
    await sdk.ready()
    for (const { seen } of applications) (seen as Map<string, number>).clear()
    const load = new CallLoad(perSecond, caller(sdk))
    await switchUnder(load, sdk, 'orders')
    noneIsLost(
      load,
      sdk,
      applications.flatMap(({ seen }) => [...seen.values()]),
    )
  })

  it('calls of a private RPC change it, too, without a loss', async () => {
    const { address } = host.options
    const seen = new Map<string, number>()
    const books = await startApplication(
      new BoltCodec(),
      ({ bytes }) => {
        const call = bytes.subarray(-10)
        seen.set(call.toString(), (seen.get(call.toString()) ?? 0) + 1)
        return boltFrame({ type: 0, className: 'R', content: call })
      },
      0,
      address,
    )
    applications.push({ ...books, address, seen: new Map() })
    const provider = sdks.open('provider-of-books')
    provider.register({ service: 'books', address, port: books.port, protocol: 'bolt' })
    await whenRegistered(provider)
    const sdk = sdks.open('switching-books')
    await sdk.ready()
    const client = sdk.rpc(bolt())
    const load = new CallLoad(perSecond, (call) => {
      const words = call.padStart(10)
      const answer = client
        .call('books', boltRequest('books', 'lend', { content: Buffer.from(words) }))
        .then((reply) => {
          if (reply.subarray(-10).toString() !== words) throw new Error(`another reply: ${reply.toString('hex')}`)
          return 'books'
        })
      return { method: 'RPC', answer }
    })
    await switchUnder(load, sdk, 'books')
    noneIsLost(load, sdk, [...seen.values()])
  })

  it('the key in the registry changes the mode of an application and of a service; a bad one changes nothing', async () => {
    const sdk = sdks.open('keyed', { mode: 'mesh' })
    await sdk.ready()
    await (await sdk.fetch('http://orders/')).text()
    await whenActive(sdk, 'mesh')
    await publish('keyed', '{"mode":"mesh","services":{"orders":"direct"}}')
    await whenActive(sdk, 'direct')
    await publish('keyed', '{"mode":"sideways"}')
    await until(30_000, 'the problem is told', () =>
      Promise.resolve(sdk.status().modeKeyProblem?.includes('allowed are mesh, direct and auto') === true),
    )
    expect(activeModeOf(sdk)).to.equal('direct')
    await publish('keyed', '{"mode":"mesh"}')
    await whenActive(sdk, 'mesh')
    expect(sdk.status().modeKeyProblem).to.equal(undefined)
  })

  it('a registration moves with the mode of its service, and callers lose nothing', async () => {
    const { address } = host.options
    const third = await startCounting(address, 'third')
    applications.push(third)
    const provider = sdks.open('moving', { overlapMs: 6000 })
    const registered = provider.register({ service: 'moved', address, port: third.port, protocol: 'http' })
    await until(30_000, 'it is announced', () => Promise.resolve(registered.state === 'registered'))
    const instances = async (): Promise<string[]> => {
      const query = 'serviceName=DEFAULT_GROUP@@moved&namespaceId=public'
      const list = await fetch(`http://${registry.address}/nacos/v1/ns/instance/list?${query}`)
      const { hosts } = (await list.json()) as { hosts: { ip: string; port: number; enabled: boolean }[] }
      return hosts.map(({ port }) => (port === third.port ? 'own port' : 'agent')).toSorted()
    }
    expect(await instances()).to.deep.equal(['own port'])

    const callers = [sdks.open('plain-caller'), sdks.open('meshed-caller', { mode: 'mesh' })]
    await Promise.all(callers.map((one) => one.ready()))
    const load = new CallLoad(200, (call) => {
      const sdk = callers[Number(call) % 2]!
      const answer = sdk.fetch('http://moved/', { method: 'POST', body: '' }).then(goodText)
      return { method: 'POST', answer }
    })
    const seen = new Set<string>()
    for (const [mode, wanted] of [
      ['mesh', 'agent'],
      ['direct', 'own port'],
    ] as const) {
      provider.setMode(mode)
      await until(20_000, `announced ${wanted} alone; seen ${[...seen].join('; ')}`, async () => {
        const now = (await instances()).join(' and ')
        seen.add(now)
        return now === wanted
      })
    }
    const counts = await load.stop()
    expect([...seen], 'never announced nowhere').to.have.members(['own port', 'agent and own port', 'agent'])
    expect(counts.failures.map(({ error }) => String((error as Error).cause ?? error))).to.deep.equal([])
    expect(counts.answers.get('third')).to.equal(counts.calls)
  })

  async function publish(application: string, content: string): Promise<void> {
    const body = new URLSearchParams({ dataId: `sdk.${application}.json`, group: 'HOSTMESH', content })
    const reply = await fetch(`http://${registry.address}/nacos/v1/cs/configs`, { method: 'POST', body })
    expect(await reply.text()).to.equal('true')
  }
})
