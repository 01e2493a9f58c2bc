import { expect } from 'chai'
import { systemClock } from '../../../../../contracts/clock.ts'
import { MeshError } from '../../../../../contracts/errors.ts'
import { NacosFault } from '../../../../../registry-adapters/nacos/server/fault.ts'
import type { NacosInstance } from '../../../../../registry-adapters/nacos/server/instance.ts'
import { parseInstance } from '../../../../../registry-adapters/nacos/server/instance.ts'
import { defaultLimits } from '../../../../../registry-adapters/nacos/server/limits.ts'
import { MeshNaming } from '../../../../../registry-adapters/nacos/face/mesh-naming.ts'
import { FakeMesh } from '../../../../support/nacos-clients/fake-mesh.ts'
import { eventually } from '../../../../support/registry-listener.ts'

const orders = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }
const id = (port: number): string => `public/DEFAULT_GROUP@@orders 127.0.0.1:${port}`
const instance = (port: number, more: Record<string, unknown> = {}): NacosInstance =>
  parseInstance({ ip: '127.0.0.1', port, ...more })

function setUp(): { mesh: FakeMesh; naming: MeshNaming; pass: (ms: number) => void } {
  let now = 1_000_000
  const mesh = new FakeMesh()
  mesh.clock = { ...systemClock, wall: () => now, monotonic: () => now }
  const naming = new MeshNaming(mesh, {
    limits: { ...defaultLimits, maxServices: 3 },
    connectionGraceMs: 2_000,
    reconnectGraceMs: 30_000,
    firstAnswerMs: 10,
    idleMs: 60_000,
  })
  return {
    mesh,
    naming,
    pass: (ms) => {
      now += ms
      naming.sweep()
    },
  }
}

async function faultOf(work: Promise<unknown>): Promise<NacosFault> {
  try {
    await work
  } catch (error) {
    if (error instanceof NacosFault) return error
    throw error
  }
  throw new Error('it was accepted')
}

describe('naming with the mesh behind it', () => {
  describe('registrations', () => {
    it('are announced with their own address, protocol and metadata, without keys of ours', async () => {
      const { mesh, naming } = setUp()
      const metadata = { version: 'v2', 'hostmesh.protocol': 'http', 'hostmesh.inbound': 'forged' }
      await naming.register(orders, [instance(8080, { metadata, weight: 3 })], 'c1')
      expect(mesh.applications.get(id(8080))).to.deep.include({
        service: orders,
        address: '127.0.0.1',
        port: 8080,
        weight: 3,
        protocol: 'http',
        metadata: { version: 'v2' },
      })
    })

    it('of another host are refused', async () => {
      const { mesh, naming } = setUp()
      for (const ip of ['10.9.9.9', 'db.example', '0.0.0.0']) {
        const fault = await faultOf(naming.register(orders, [parseInstance({ ip, port: 80 })], 'c1'))
        expect(fault.message).to.include(`${ip}:80: no address of this host`)
      }
      expect(mesh.story).to.deep.equal([])
    })

    it('by the name localhost are announced with the loopback address', async () => {
      const { mesh, naming } = setUp()
      await naming.register(orders, [parseInstance({ ip: 'localhost', port: 80 })], 'c1')
      expect([...mesh.applications.keys()]).to.deep.equal([id(80)])
      await naming.deregister(orders, parseInstance({ ip: 'localhost', port: 80 }), 'c1')
      expect(mesh.applications.size).to.equal(0)
    })

    it('with a name that the mesh cannot carry are refused', async () => {
      const { naming } = setUp()
      const fault = await faultOf(naming.register({ ...orders, name: 'a/b' }, [instance(80)], 'c1'))
      expect(fault.kind).to.equal('service-name')
    })

    it('with port 0 are accepted and announced nowhere: consumers do that', async () => {
      const { mesh, naming } = setUp()
      await naming.register(orders, [instance(0)], 'c1')
      expect(mesh.story).to.deep.equal([])
    })

    it('that control refuses are refused with its reason, and leave nothing behind', async () => {
      const { mesh, naming } = setUp()
      mesh.refusal = new MeshError('E_PORT_RANGE_FULL', 'inbound.portRange: no port is left')
      const fault = await faultOf(naming.register(orders, [instance(80)], 'c1'))
      expect(fault.message).to.equal('E_PORT_RANGE_FULL  inbound.portRange: no port is left')
      mesh.refusal = undefined
      await naming.register(orders, [instance(80)], 'c1')
      expect(mesh.story).to.deep.equal([`+ ${id(80)}`])
    })

    it('repeated without a change are not announced again; changes are', async () => {
      const { mesh, naming } = setUp()
      await naming.register(orders, [instance(80)], 'c1')
      await naming.register(orders, [instance(80)], 'c1')
      await naming.register(orders, [instance(80, { weight: 5 })], 'c1')
      await naming.change(orders, { ip: '127.0.0.1', port: 80, cluster: 'DEFAULT' }, { enabled: false })
      expect(mesh.story).to.deep.equal([`+ ${id(80)}`, `~ ${id(80)}`, `~ ${id(80)}`])
      expect(mesh.applications.get(id(80))).to.include({ weight: 5, enabled: false })
    })

    it('of a broken connection stay for the grace time, and longer when the client comes back', async () => {
      const { mesh, naming, pass } = setUp()
      await naming.register(orders, [instance(80)], 'c1')
      await naming.register({ ...orders, name: 'stock' }, [instance(90)], 'c1')
      naming.connectionGone('c1')
      pass(1_999)
      await naming.register(orders, [instance(80)], 'c2')
      pass(1)
      await eventually(() => mesh.applications.size === 1, 'the other application to be taken back')
      expect([...mesh.applications.keys()]).to.deep.equal([id(80)])
      expect(mesh.story.filter((line) => line.endsWith(id(80)))).to.deep.equal([`+ ${id(80)}`])
    })

    it('by heartbeat are told to be unhealthy after 15 s of silence and taken back after 30 s', async () => {
      const { mesh, naming, pass } = setUp()
      await naming.register(orders, [instance(80)], undefined)
      pass(15_001)
      await eventually(() => mesh.applications.get(id(80))?.healthy === false, 'the bad health')
      pass(15_000)
      await eventually(() => mesh.applications.size === 0, 'the end')
    })

    it('that control could not be told of are told again', async () => {
      const { mesh, naming, pass } = setUp()
      await naming.register(orders, [instance(80)], 'c1')
      const { deregisterApplication } = mesh
      mesh.deregisterApplication = () => Promise.reject(new Error('busy'))
      await naming.deregister(orders, instance(80), 'c1')
      expect(mesh.applications.size).to.equal(1)
      mesh.deregisterApplication = deregisterApplication.bind(mesh)
      pass(1_000)
      await eventually(() => mesh.applications.size === 0, 'the second try')
    })

    it('of a former face stay for the reconnect time, without a word to control', async () => {
      const before = setUp()
      await before.naming.register(orders, [instance(80), instance(81)], 'c1')
      await before.naming.register({ ...orders, name: 'db' }, [instance(82, { ephemeral: false })], undefined)
      const kept = [...before.mesh.applications.values()]
      const { mesh, naming, pass } = setUp()
      for (const application of kept) mesh.applications.set(application.id, application)
      naming.restore(kept)
      pass(29_999)
      await naming.register(orders, [instance(80)], 'c9')
      expect(mesh.story).to.deep.equal([])
      pass(1)
      await eventually(() => mesh.story.length > 0, 'the end of the grace time')
      expect(mesh.story).to.deep.equal([`- ${id(81)}`])
      expect([...mesh.applications.keys()]).to.deep.equal([id(80), 'public/DEFAULT_GROUP@@db 127.0.0.1:82'])
    })

    it('of a former face are kept by the heartbeats of their client alone', async () => {
      const before = setUp()
      await before.naming.register(orders, [instance(80)], undefined)
      const { mesh, naming, pass } = setUp()
      naming.restore([...before.mesh.applications.values()])
      for (let second = 0; second < 60; second += 5) {
        expect(await naming.beat(orders, { ip: '127.0.0.1', port: 80, cluster: 'DEFAULT' })).to.equal(true)
        pass(5_000)
      }
      expect(mesh.story).to.deep.equal([])
    })
  })

  describe('discovery', () => {
    it('answers one healthy instance: the localhost port, with the metadata of a living instance', async () => {
      const { mesh, naming } = setUp()
      mesh.offer('orders', 20_001, {
        side: 'provider',
        'hostmesh.app-port': '8080',
        'preserved.heart.beat.timeout': '1',
      })
      const view = await naming.query(orders, 'user 1')
      expect(view.instances).to.have.length(1)
      expect(view.instances[0]).to.deep.include({
        ip: '127.0.0.1',
        port: 20_001,
        healthy: true,
        enabled: true,
        metadata: { side: 'provider' },
      })
    })

    it('answers nothing for a service without instances, and a fault while the registry has not answered', async () => {
      const { mesh, naming } = setUp()
      expect((await naming.query(orders, 'user 1')).instances).to.deep.equal([])
      mesh.isSilent = true
      const fault = await faultOf(naming.query({ ...orders, name: 'late' }, 'user 1'))
      expect(fault.message).to.include('has not answered yet')
    })

    it('tells subscribers of another port and of the end, and not of the same again', async () => {
      const { mesh, naming } = setUp()
      let heard = 0
      naming.subscribe(orders, () => heard++, 'user 1')
      await eventually(() => heard === 1, 'the first answer')
      mesh.offer('orders', 20_001)
      mesh.offer('orders', 20_001)
      mesh.offer('orders', undefined)
      expect(heard).to.equal(3)
    })

    it('lets a service go that nobody asks for any more', async () => {
      const { mesh, naming, pass } = setUp()
      await naming.query(orders, 'user 1')
      const subscription = naming.subscribe({ ...orders, name: 'stock' }, () => {}, 'user 1')
      pass(60_000)
      expect(mesh.wanted).to.deep.equal(['public/DEFAULT_GROUP@@stock'])
      subscription.unsubscribe()
      pass(60_000)
      expect(mesh.wanted).to.deep.equal([])
    })

    it('refuses services above the bound', async () => {
      const { naming } = setUp()
      for (const name of ['a', 'b', 'c']) await naming.query({ ...orders, name }, 'user 1')
      expect((await faultOf(naming.query({ ...orders, name: 'd' }, 'user 1'))).kind).to.equal('over-limit')
    })

    it('lists what the registries know, sorted and by group', async () => {
      const { mesh, naming } = setUp()
      mesh.offer('b', 1)
      mesh.offer('a', 2)
      expect((await naming.list('public', 'DEFAULT_GROUP')).map(({ name }) => name)).to.deep.equal(['a', 'b'])
      expect(await naming.list('public', 'OTHER')).to.deep.equal([])
    })
  })

  it('refuses to make services: their settings live in the real registry', async () => {
    const { naming } = setUp()
    expect((await faultOf(naming.createService())).kind).to.equal('unsupported')
  })
})
