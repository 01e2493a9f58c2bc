import { createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { expect } from 'chai'
import { Mesh, until } from '../../support/mesh/mesh.ts'
import type { DemoHost } from '../../support/mesh/mesh.ts'

interface PortsPage {
  readonly ports: readonly {
    readonly service: string
    readonly port: number
    readonly state: string
    readonly problem?: string
  }[]
}

/**
 * A pinned port that another program has: the service is degraded, visible at once everywhere, and well again when the
 * port is free.
 */
describe('a pinned port that cannot be bound', function () {
  this.timeout(120_000)
  let mesh: Mesh
  let host: DemoHost
  let squatter: Server
  let port: number
  const outbound: { service: string; protocol: 'http'; port?: number }[] = []

  before(async () => {
    mesh = await Mesh.open([])
    host = await mesh.startedHost('alpha', { outbound })
    squatter = createServer((socket) => socket.destroy())
    await new Promise<void>((resolve) => squatter.listen(0, host.options.address, resolve))
    port = (squatter.address() as AddressInfo).port
  })
  after(async () => {
    await mesh.close()
    squatter.close()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.log(mesh.report())
  })

  const row = async () => ((await host.json('/ports?format=json')) as PortsPage).ports.find((one) => one.port === port)
  const text = async (of: number, path: string) => (await fetch(`http://${host.options.address}:${of}${path}`)).text()
  /** What every page says of it. */
  const seen = async () => ({
    state: (await row())?.state,
    failed: /^hostmesh_listeners_failed (\d+)$/m.exec(await text(15_020, '/metrics'))?.[1],
    ready: /^problem: outbound public\/DEFAULT_GROUP@@orders: E_LISTEN_IN_USE/m.test(await text(15_021, '/ready')),
  })
  const failsWithoutListening = async (): Promise<void> => {
    const states = new Set<string | undefined>()
    await until(20_000, 'the port has failed', async () => {
      const state = (await row())?.state
      states.add(state)
      return state === 'failed'
    })
    expect([...states]).not.to.include('listening')
    expect(await seen()).to.deep.equal({ state: 'failed', failed: '1', ready: true })
  }

  it('never counts as listening after a reload', async () => {
    outbound.push({ service: 'orders', protocol: 'http', port })
    host.writeFiles()
    await failsWithoutListening()
  })

  it('never counts as listening from the start of an agent on, without any change', async () => {
    await host.stop()
    host.start()
    await host.ready()
    await failsWithoutListening()
  })

  it('counts as listening as soon as it is free and bound, without any change', async () => {
    await new Promise((resolve) => squatter.close(resolve))
    await until(20_000, 'the port is bound', async () => (await row())?.state === 'listening')
    expect(await seen()).to.deep.equal({ state: 'listening', failed: '0', ready: false })
  })

  it('of control itself keeps no control from coming back after its death, and is told', async () => {
    const control = async (): Promise<number | undefined> => {
      const { generations } = await host.watchdogState()
      return generations[0]?.children.find(({ role, isReady }) => role === 'control' && isReady)?.pid
    }
    const before = await control()
    await host.signal('control', 'SIGKILL')
    const taker = createServer((socket) => socket.destroy())
    const listens = (): Promise<boolean> =>
      new Promise((resolve) => {
        taker.once('error', () => resolve(false))
        taker.listen(15_000, host.options.address, () => resolve(true))
      })
    try {
      await until(5000, 'the admin port is taken', listens)
      await until(30_000, 'control is back', async () => ![undefined, before].includes(await control()))
      const after = await control()
      const fault = /^problem: admin port: E_LISTEN_IN_USE {2}\S+:15000/m
      await until(20_000, 'the fault is told', async () => fault.test((await host.admin.get('/ready')).text))
      await new Promise<void>((resolve) => taker.close(() => resolve()))
      await until(20_000, 'the fault is over', async () => !fault.test((await host.admin.get('/ready')).text))
      expect(await control(), 'the same control').to.equal(after)
    } finally {
      taker.close()
    }
  })
})
