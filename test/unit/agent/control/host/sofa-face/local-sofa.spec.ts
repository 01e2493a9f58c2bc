import type { Socket } from 'node:net'
import { expect } from 'chai'
import { maxUnknownPerCaller } from '../../../../../../agent/control/core/snapshot/names.ts'
import { LocalSofa } from '../../../../../../agent/control/host/sofa-face/local-sofa.ts'
import { forgottenMs, maxPerUser } from '../../../../../../agent/control/host/sofa-face/publications.ts'
import type { LocalCallers } from '../../../../../../guard/local-callers.ts'
import { freePort } from '../../../../../support/free-port.ts'
import { manualClock, type ManualClock } from '../../../../../support/manual-clock.ts'
import { openBench, type Bench } from '../../support/control-bench.ts'

const service = 'com.shop.Orders:1.0'
const id = `public/DEFAULT_GROUP@@${service} 127.0.0.1:12201`
const publication = {
  serviceName: service,
  port: '12201',
  protocolType: 'bolt',
  providerMetaInfo: {
    appName: 'shop',
    protocol: 'bolt',
    version: '4.0',
    serializeType: 'hessian2',
    properties: { lane: 'blue', 'hostmesh.inbound': 'true' },
  },
  onlyPublishInCloud: false,
}

interface Reply {
  readonly success: boolean
  readonly errorMessage?: string
  readonly datas?: readonly string[]
}

describe('the mesh API of SOFARPC', () => {
  let bench: Bench
  let clock: ManualClock
  let face: LocalSofa | undefined
  let port: number
  let isWell = true
  /** Who asks, and who listens where, as the kernel would say. */
  let uid: number | undefined
  const listeners = new Map<string, number>()
  const callers = {
    uidOf: (_socket: Socket) => uid,
    uidOfListener: (address: string, at: number) => listeners.get(`${address}:${at}`),
  } as unknown as LocalCallers

  const open = async (): Promise<void> => {
    bench.control.setLeading(true)
    face = new LocalSofa(bench.control, callers)
    await face.open()
  }

  beforeEach(async () => {
    uid = 1001
    isWell = true
    listeners.clear()
    listeners.set('127.0.0.1:12201', 1001)
    port = await freePort()
    clock = manualClock()
    bench = await openBench(
      { sofaFace: { enabled: true, port }, nacosFace: { grants: [{ user: 7, services: ['com.shop.Pay:1.0'] }] } },
      { clock, probe: () => (isWell ? Promise.resolve() : Promise.reject(new Error('refused'))) },
    )
    await open()
  })

  afterEach(async () => {
    await face?.close()
    await bench.close()
  })

  async function ask(
    path: string,
    body: unknown,
    headers: Record<string, string> = {},
  ): Promise<{ status: number } & Reply> {
    const reply = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'text/plain', connection: 'close', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
    return { status: reply.status, ...((await reply.json()) as Reply) }
  }
  const published = () => bench.control.host.registrar.get(id)

  it('takes in what an application publishes, with an inbound port, and gives it back', async () => {
    expect(await ask('/configs/application', { appName: 'shop' })).to.include({ status: 200, success: true })
    expect(await ask('/services/publish', publication)).to.include({ status: 200, success: true })
    expect(published()).to.deep.include({ source: 'sofa', protocol: 'bolt', listenerUser: 1001, weight: 1 })
    expect(published()!.metadata).to.deep.equal({ lane: 'blue', appName: 'shop', serialization: 'hessian2' })
    expect(bench.control.host.registrar.views()[0]!.inboundPort).to.be.within(21_000, 21_999)
    expect(await ask('/services/unpublish', { serviceName: service })).to.include({ success: true })
    expect(published()).to.equal(undefined)
  })

  it('says where callers find a service, and asks for it before they call', async () => {
    const reply = await ask('/services/subscribe', { serviceName: `${service}@DEFAULT`, protocolType: null })
    expect(reply).to.include({ status: 200, success: true })
    expect(reply.datas).to.deep.equal(['127.0.0.1:12220?p=1&v=4.0'])
    expect([...bench.control.core.names.each()]).to.deep.equal([service])
    expect(await ask('/services/unsubscribe', { serviceName: service })).to.include({ success: true })
    expect(bench.control.config.outbound.rpc).to.deep.equal([
      { protocol: 'bolt', address: { host: '127.0.0.1', port: 12_220 } },
    ])
  })

  it('takes the usual port of SOFARPC for that of a client which says none', async () => {
    const { port: _, ...silent } = publication
    for (const body of [silent, { ...silent, port: null }])
      expect(await ask('/services/publish', body)).to.include({ success: true })
    expect(bench.control.host.registrar.applications().map((one) => one.port)).to.deep.equal([12_200])
  })

  it('finds an application that listens at the address of the host alone', async () => {
    listeners.delete('127.0.0.1:12201')
    listeners.set('10.0.0.5:12201', 1001)
    expect(await ask('/services/publish', publication)).to.include({ success: true })
    expect(bench.control.host.registrar.applications().map(({ address }) => address)).to.deep.equal(['10.0.0.5'])
  })

  it('finds an application at the address of the host whatever another user has at the same port of loopback', async () => {
    const { address } = bench.control.config.host
    listeners.set('127.0.0.1:12201', 1002)
    listeners.set(`${address}:12201`, 1001)
    expect(await ask('/services/publish', publication)).to.include({ success: true })
    const [application] = bench.control.host.registrar.applications()
    expect(application).to.include({ address, listenerUser: 1001 })
    uid = 1002
    expect(await ask('/services/publish', { ...publication, serviceName: 'com.shop.Own' })).to.include({
      success: true,
    })
  })

  it('looks up so many names that nobody knows for one user, and answers the others as before', async () => {
    const subscribed = (name: string) => ask('/services/subscribe', { serviceName: name })
    for (let i = 0; i < maxUnknownPerCaller + 20; i++) await subscribed(`com.shop.Invented${i}`)
    expect([...bench.control.core.names.each()]).to.have.length(maxUnknownPerCaller)
    uid = 1002
    expect(await subscribed(service)).to.include({ success: true })
    expect([...bench.control.core.names.each()]).to.include(service)
  })

  it('keeps what belongs to one user from all others', async () => {
    await ask('/services/publish', publication)
    uid = 1002
    listeners.set('127.0.0.1:12202', 1002)
    const other = await ask('/services/publish', { ...publication, serviceName: 'com.shop.orders:1.0', port: 12_202 })
    expect(other).to.include({ status: 200, success: false })
    expect(other.errorMessage).to.include('belongs to another user')
    const elsewhere = await ask('/services/publish', { ...publication, serviceName: 'com.shop.Else:1.0' })
    expect(elsewhere.errorMessage).to.include('user 1001 listens there')
    const granted = await ask('/services/publish', { ...publication, serviceName: 'com.shop.Pay:1.0', port: 12_202 })
    expect(granted.errorMessage).to.include('belongs to another user')
    const taken = await ask('/services/unpublish', { serviceName: service })
    expect(taken.errorMessage).to.include('registered by user 1001')
    uid = undefined
    expect((await ask('/services/publish', publication)).errorMessage).to.include('is not known')
    expect(bench.control.host.registrar.applications().map((one) => one.id)).to.deep.equal([id])
  })

  it('leaves an application as it is that a file tells about', async () => {
    const file = { service, port: 12_201, protocol: 'bolt', user: 1001, check: { off: true } }
    bench.writeFile('services.d/orders.yaml', file)
    bench.control.reload()
    expect(published()?.source).to.equal('file')
    expect(await ask('/services/publish', publication)).to.include({ success: true })
    expect(published()?.source).to.equal('file')
    await ask('/services/unpublish', { serviceName: service })
    expect(published()?.source).to.equal('file')
  })

  it('refuses by name what it cannot carry', async () => {
    const cases: [object, string][] = [
      [{ ...publication, protocolType: 'tr' }, 'protocolType: found "tr", allowed bolt'],
      [{ ...publication, serviceName: 'a b' }, 'serviceName: found "a b"'],
      [{ ...publication, port: 12_220 }, 'a port of the agent itself (sofaFace.boltPort)'],
      [{ ...publication, port: 443 }, 'below 1024'],
    ]
    for (const [body, message] of cases) {
      const reply = await ask('/services/publish', body)
      expect(reply).to.include({ status: 200, success: false })
      expect(reply.errorMessage).to.include(message)
    }
    const bad: [unknown, string][] = [
      ['{', 'the body is no JSON'],
      ['[]', 'body: '],
      [{ ...publication, port: 70_000 }, 'port: '],
      [{ ...publication, serviceName: 'x'.repeat(600) }, 'serviceName: '],
      [{ ...publication, providerMetaInfo: { properties: { a: 'x'.repeat(20_000) } } }, 'more than 16384 characters'],
      [' '.repeat(70_000), 'more than 65536 bytes'],
    ]
    for (const [body, message] of bad) {
      const reply = await ask('/services/publish', body)
      expect(reply).to.include({ status: 400, success: false })
      expect(reply.errorMessage).to.include(message)
    }
    expect(bench.control.host.registrar.applications()).to.deep.equal([])
  })

  it('answers no web page, and no other question', async () => {
    expect((await ask('/services/publish', publication, { origin: 'http://evil.example' })).status).to.equal(403)
    expect((await ask('/services/publish', publication, { 'sec-fetch-site': 'cross-site' })).status).to.equal(403)
    expect((await ask('/services/list', {})).status).to.equal(404)
    expect((await fetch(`http://127.0.0.1:${port}/services/publish`)).status).to.equal(405)
    expect(bench.control.host.registrar.applications()).to.deep.equal([])
  })

  it('gives one user so many services and not one more', async () => {
    for (let at = 0; at < maxPerUser; at++) {
      listeners.set(`127.0.0.1:${13_000 + at}`, 1001)
      const one = { ...publication, serviceName: `com.shop.S${at}:1.0`, port: 13_000 + at }
      expect(await ask('/services/publish', one)).to.include({ success: true })
    }
    expect((await ask('/services/publish', publication)).errorMessage).to.include(`${maxPerUser} are allowed`)
    uid = 1002
    listeners.set('127.0.0.1:12201', 1002)
    expect(await ask('/services/publish', publication)).to.include({ success: true })
  })

  const pass = async (ms: number): Promise<void> => {
    for (let at = 0; at < ms; at += 5000) {
      clock.advance(5000)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  it('takes back what nobody could connect to for long, and nothing that comes back before', async () => {
    isWell = false
    await ask('/services/publish', publication)
    await pass(forgottenMs - 20_000)
    isWell = true
    await pass(30_000)
    expect(published()).to.not.equal(undefined)
    isWell = false
    await pass(forgottenMs + 60_000)
    expect(published()).to.equal(undefined)
    expect(bench.log.lines.some(({ message }) => message.includes('nobody answers there'))).to.equal(true)
  })

  it('takes nothing back once it is closed, also while it looks', async () => {
    isWell = false
    await ask('/services/publish', publication)
    clock.advance(10_000)
    await face!.close()
    await pass(forgottenMs + 60_000)
    expect(published()).to.not.equal(undefined)
  })

  it('is over a restart what it was, and gone when it is switched off', async () => {
    await ask('/services/publish', publication)
    await face!.close()
    bench = await bench.restart({ clock })
    expect(published()).to.deep.include({ source: 'sofa', listenerUser: 1001, sofa: { owner: 1001 } })
    await open()
    uid = 1002
    expect((await ask('/services/unpublish', { serviceName: service })).errorMessage).to.include('by user 1001')
    await face!.close()
    bench.writeConfig({ sofaFace: { enabled: false } })
    bench = await bench.restart({ clock })
    await open()
    expect(published()).to.equal(undefined)
  })
})
