import { expect } from 'chai'
import type { Registration } from '../../../contracts/registry-adapter.ts'
import { createNacosAdapter } from '../../../registry-adapters/nacos/index.ts'
import type { NacosAdapter, NacosAdapterConfig, NacosTimes } from '../../../registry-adapters/nacos/index.ts'
import { adapterConfig } from '../../support/nacos/adapter-config.ts'
import { nacosDriver } from '../../support/nacos/driver.ts'
import { needsNacos, startNacos } from '../../support/nacos/server.ts'
import type { RunningNacos } from '../../support/nacos/server.ts'
import { eventually, recordedDeps, recordingListener } from '../../support/registry-listener.ts'

const namespace = `single-${process.pid}`
const orders = { namespace, group: 'DEFAULT_GROUP', name: 'orders' }
const registration: Registration = {
  service: orders,
  address: '10.4.0.1',
  port: 80,
  weight: 1,
  cluster: 'DEFAULT',
  healthy: true,
  enabled: true,
  metadata: {},
}
const credentials = { kind: 'password', username: 'nacos', password: 'nacos' } as const

describe('one real Nacos with authentication on', function () {
  this.timeout(120_000)
  let server: RunningNacos
  const adapters: NacosAdapter[] = []

  before(async function () {
    await needsNacos(this)
    server = await startNacos({
      auth: true,
      properties: { 'nacos.core.auth.plugin.nacos.token.expire.seconds': '18000' },
    })
  })
  afterEach(async () => {
    await Promise.all(adapters.splice(0).map((adapter) => adapter.close()))
  })
  after(async () => {
    await (server as RunningNacos | undefined)?.stop()
  })

  const open = (more: Partial<NacosAdapterConfig> & { times?: Partial<NacosTimes> } = {}) => {
    const deps = recordedDeps()
    const adapter = createNacosAdapter(adapterConfig([server.address], { namespace, credentials, ...more }), deps)
    adapters.push(adapter)
    adapter.start()
    return { adapter, deps }
  }
  const token = async (): Promise<string> => {
    const answer = await fetch(`${server.url}/v1/auth/login`, {
      method: 'POST',
      body: new URLSearchParams({ username: 'nacos', password: 'nacos' }),
    })
    return ((await answer.json()) as { accessToken: string }).accessToken
  }

  it('registers, discovers and reads documents with a user', async () => {
    const { adapter } = open()
    const handle = adapter.register(registration)
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await listener.untilIds(['10.4.0.1:80'])
    await adapter.config.publish('rules', 'mesh', 'a: 1', undefined, AbortSignal.timeout(5000))
    expect((await adapter.config.read('rules', 'mesh', AbortSignal.timeout(5000)))?.content).to.equal('a: 1')
    await handle.deregister(3000)
    await listener.untilIds([])
  })

  for (const [what, wrong] of [
    ['a wrong password', { ...credentials, password: 'wrong' }],
    ['no user', { kind: 'none' } as const],
  ] as const)
    it(`says that it is refused with ${what}, and gives nothing away`, async () => {
      const { adapter, deps } = open({ credentials: wrong })
      const listener = recordingListener()
      adapter.subscribe(orders, listener)
      const handle = adapter.register(registration)
      await eventually(() => handle.state === 'failing', 'the refusal')
      await eventually(() => deps.lines.some((line) => line.includes('E_REGISTRY_DENIED')), 'the code')
      expect(listener.sets).to.deep.equal([])
      expect(deps.lines.join('\n')).to.not.include('wrong"')
    })

  it('survives a frozen server: notices it, keeps the list, and is registered again when it thaws', async () => {
    const { adapter, deps } = open({ times: { requestTimeoutMs: 500, healthCheckMs: 500, settleMs: 4000 } })
    const short = {
      'preserved.heart.beat.timeout': '1500',
      'preserved.ip.delete.timeout': '2500',
      'preserved.heart.beat.interval': '400',
    }
    const handle = adapter.register({ ...registration, metadata: short })
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    await listener.untilIds(['10.4.0.1:80'])
    const from = listener.sets.length - 1
    server.freeze()
    try {
      await eventually(() => handle.state === 'failing' && !adapter.status().connected, 'the silence to be noticed')
      // longer than the server lets an instance live without heartbeats
      const frozenAt = performance.now()
      await eventually(() => performance.now() - frozenAt > 3500, 'the instance to be overdue')
    } finally {
      server.thaw()
    }
    await eventually(() => handle.state === 'registered', 'the registration', 20_000)
    const driver = nacosDriver(server.url, namespace, await token())
    await eventually(async () => (await driver.seen(orders)).length === 1, 'the instance at the server', 20_000)
    await eventually(() => adapter.status().connected, 'the connection', 20_000)
    expect(listener.sets.slice(from).every((set) => set.endpoints.length === 1)).to.equal(true)
    expect(deps.lines.join('\n')).to.include('lost Nacos for naming')
    await handle.deregister(3000)
  })

  it('leaves a persistent instance of the same service alone', async () => {
    const driver = nacosDriver(server.url, namespace, await token())
    const ledger = { ...orders, name: 'ledger' }
    const persistent = { address: '10.4.0.9', port: 90, ephemeral: false }
    await driver.put(ledger, persistent)
    const { adapter, deps } = open()
    const handle = adapter.register({ ...registration, service: ledger, address: '10.4.0.9', port: 90 })
    await eventually(() => handle.state === 'failing', 'the refusal')
    expect(deps.lines.join('\n')).to.include('it is left alone')
    await handle.deregister(2000)
    const seen = await driver.seen(ledger)
    expect(seen.map(({ ip, ephemeral }) => [ip, ephemeral])).to.deep.equal([['10.4.0.9', false]])
  })

  it('keeps an application in the list over the restarts of its agent: a watcher sees nothing', async () => {
    const watcher = recordingListener()
    open().adapter.subscribe(orders, watcher)
    let present = open().adapter
    let handle = present.register(registration)
    await watcher.untilIds(['10.4.0.1:80'])
    const from = watcher.sets.length
    for (let round = 0; round < 20; round++) {
      // every other restart is a crash: nobody releases anything
      if (round % 2 === 0) handle.release()
      await present.close()
      present = open().adapter
      handle = present.register(registration)
      await eventually(() => handle.state === 'registered', 'the next one')
    }
    handle.update({ weight: 5 })
    await watcher.until((set) => set.endpoints[0]?.weight === 5, 'weight 5')
    expect(watcher.sets.slice(from - 1).every((set) => set.endpoints.length === 1)).to.equal(true)
    await handle.deregister(3000)
  })
})
