/** Ordinary SOFARPC applications whose registry is `mesh`, each pointed at the agent of its host. */
import { expect } from 'chai'

import { startEmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import type { EmbeddedRegistry } from '../../../registry-adapters/nacos/embedded/embedded.ts'
import { BoltCodec } from '../../../rpc/bolt/bolt.ts'
import { counted } from '../../support/mesh/host-facts.ts'
import { Mesh, until } from '../../support/mesh/mesh.ts'
import type { DemoHost } from '../../support/mesh/mesh.ts'
import { ForeignClient } from '../../support/nacos-clients/foreign-client.ts'
import { sofaSample } from '../../support/nacos-clients/launches.ts'
import { boltFrame, boltRequest } from '../../support/rpc/bolt-frames.ts'
import { RpcCaller, startApplication } from '../../support/rpc/far-sides.ts'
import { askAs } from '../../support/security/other-user.ts'

const stranger = 65_533

describe('SOFARPC applications with the registry mesh', function () {
  this.timeout(120_000)
  let registry: EmbeddedRegistry
  let mesh: Mesh
  let alpha: DemoHost
  let beta: DemoHost

  before(async () => {
    registry = await startEmbeddedRegistry({ mergeWindowMs: 50 })
    mesh = await Mesh.open([{ name: 'main', type: 'nacos', servers: [registry.address] }])
    const started = (name: string): DemoHost => {
      const host = mesh.host(name)
      const { address } = host.options
      Object.assign(host.options, { extra: { sofaFace: { enabled: true, address } } })
      host.start()
      return host
    }
    alpha = started('alpha')
    beta = started('beta')
    await Promise.all([alpha, beta].map((host) => host.ready()))
  })

  after(async () => {
    await mesh?.close()
    await registry?.close()
  })

  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh?.report())
  })

  const api = (host: DemoHost): string => `${host.options.address}:13330`
  const announced = async (service: string): Promise<number> => {
    const reply = await fetch(`http://${registry.address}/nacos/v1/ns/instance/list?serviceName=${service}`)
    return ((await reply.json()) as { hosts: { healthy: boolean }[] }).hosts.filter(({ healthy }) => healthy).length
  }

  it('call each other through both agents, by nothing but the address of the registry', async function () {
    this.timeout(300_000)
    const launch = await sofaSample('5.13.2')
    if ('missing' in launch) {
      console.log(`skipped: ${launch.missing}`)
      return this.skip()
    }
    const service = 'SofaSample$Greeter:1.0'
    const programs: ForeignClient[] = []
    const start = (host: DemoHost, ...more: string[]): ForeignClient => {
      const [first = `http://${api(host)}`, ...rest] = more
      const program = new ForeignClient(launch, first, ...rest)
      programs.push(program)
      return program
    }
    try {
      const { address } = beta.options
      const provider = start(beta, `http://${api(beta)}`, address, '12200')
      await provider.ask('ready')
      await until(20_000, 'it is announced', async () => (await announced(encodeURIComponent(service))) === 1)
      const consumer = start(alpha, 'consumer', `http://${api(alpha)}`)
      await consumer.ask('ready')
      const greet = async (name: string): Promise<string> =>
        consumer.ask('greet', name).catch((error: unknown) => String(error))
      await until(30_000, 'an answer', async () => (await greet('ann')) === 'hello ann')
      for (let call = 0; call < 10; call++) expect(await greet(`bob ${call}`)).to.equal(`hello bob ${call}`)
      for (const [host, reporter] of [
        [alpha, 'source'],
        [beta, 'destination'],
      ] as const)
        expect(await counted(host, 'istio_requests_total', `reporter="${reporter}"`, '"bolt"')).to.be.above(10)
      await provider.ask('withdraw')
      await until(20_000, 'it is taken back', async () => (await announced(encodeURIComponent(service))) === 0)
    } finally {
      await Promise.all(programs.map((one) => one.kill()))
    }
  })

  it('are kept apart by their users, whatever they say', async function () {
    if (process.getuid?.() !== 0) return this.skip()
    const codec = new BoltCodec()
    const application = await startApplication(codec, () => boltFrame({ type: 0, className: 'R' }))
    const publish = (serviceName: string) => ({
      at: api(alpha),
      line: 'POST /services/publish',
      body: JSON.stringify({ serviceName, port: String(application.port), protocolType: 'bolt' }),
    })
    const unpublish = {
      at: api(alpha),
      line: 'POST /services/unpublish',
      body: JSON.stringify({ serviceName: 'shop.Mine:1.0' }),
    }
    const [own] = await askAs(0, [publish('shop.Mine:1.0')])
    expect(own).to.include({ status: 200, text: '{"success":true}' })
    await until(20_000, 'it is announced', async () => (await announced('shop.Mine:1.0')) === 1)
    const [stolen, taken, foreign] = await askAs(stranger, [
      publish('shop.Mine:1.0'),
      unpublish,
      publish('shop.Yours:1.0'),
    ])
    expect(stolen!.text).to.include('belongs to another user')
    expect(taken!.text).to.include('registered by user 0')
    expect(foreign!.text).to.include('user 0 listens there')
    const caller = await RpcCaller.connect(codec, 12_220, beta.options.address)
    expect((await caller.call(boltRequest('shop.Mine:1.0', 'm'))).frame.status).to.equal(200)
    caller.close()
    await application.close()
    await until(30_000, 'it is unwell at the registry', async () => (await announced('shop.Mine:1.0')) === 0)
  })
})
