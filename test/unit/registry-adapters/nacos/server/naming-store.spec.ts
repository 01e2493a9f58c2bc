import { expect } from 'chai'
import type { NacosInstance } from '../../../../../registry-adapters/nacos/server/instance.ts'
import { parseInstance } from '../../../../../registry-adapters/nacos/server/instance.ts'
import { NacosFault } from '../../../../../registry-adapters/nacos/server/fault.ts'
import type { NamingStoreOptions } from '../../../../../registry-adapters/nacos/server/naming-store.ts'
import { NamingStore } from '../../../../../registry-adapters/nacos/server/naming-store.ts'

const orders = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }
const instance = (port: number, more: Record<string, unknown> = {}): NacosInstance =>
  parseInstance({ ip: '10.0.0.1', port, ...more })

function manualStore(more: Partial<NamingStoreOptions> = {}): {
  store: NamingStore
  pass: (ms: number) => void
  seen: () => string
} {
  let now = 1_000_000
  const store = new NamingStore({ now: () => now, limits: { maxServices: 100, maxInstances: 100 }, ...more })
  return {
    store,
    pass(ms) {
      now += ms
      store.sweep()
    },
    seen: () =>
      (store.view(orders)?.instances ?? []).map(({ port, healthy }) => `${port}${healthy ? '' : '!'}`).join(' '),
  }
}

async function kindOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work
  } catch (error) {
    return error instanceof NacosFault ? error.kind : 'another error'
  }
  return undefined
}

describe('naming store', () => {
  describe('ephemeral instances with heartbeats', () => {
    it('are unhealthy after 15 s of silence and gone after 30 s', async () => {
      const { store, pass, seen } = manualStore()
      await store.register(orders, [instance(1)], undefined)
      pass(15_000)
      expect(seen()).to.equal('1')
      pass(1)
      expect(seen()).to.equal('1!')
      pass(14_999)
      expect(seen()).to.equal('1!')
      pass(1)
      expect(seen()).to.equal('')
    })

    it('keep their own times from the preserved metadata', async () => {
      const { store, pass, seen } = manualStore()
      const metadata = {
        'preserved.heart.beat.interval': '1000',
        'preserved.heart.beat.timeout': '3000',
        'preserved.ip.delete.timeout': '6000',
      }
      await store.register(orders, [instance(1, { metadata })], undefined)
      pass(3_001)
      expect(seen()).to.equal('1!')
      pass(3_000)
      expect(seen()).to.equal('')
    })

    it('are healthy again with the next heartbeat', async () => {
      const { store, pass, seen } = manualStore()
      await store.register(orders, [instance(1)], undefined)
      pass(20_000)
      expect(await store.beat(orders, { ip: '10.0.0.1', port: 1, cluster: 'DEFAULT' })).to.equal(true)
      expect(seen()).to.equal('1')
    })

    it('that nobody knows are told so at their heartbeat', async () => {
      const { store } = manualStore()
      expect(await store.beat(orders, { ip: '10.0.0.1', port: 1, cluster: 'DEFAULT' })).to.equal(false)
    })
  })

  describe('instances of a connection', () => {
    it('need no heartbeat and go with the connection', async () => {
      const { store, pass, seen } = manualStore()
      await store.register(orders, [instance(1)], 'c1')
      pass(60_000)
      expect(seen()).to.equal('1')
      store.connectionGone('c1')
      expect(seen()).to.equal('')
    })

    it('are the whole of what the connection publishes of the service', async () => {
      const { store, seen } = manualStore()
      await store.register(orders, [instance(1), instance(2)], 'c1')
      await store.register(orders, [instance(2), instance(3)], 'c1')
      expect(seen()).to.equal('2 3')
    })

    it('stay when another connection published the same one', async () => {
      const { store, seen } = manualStore()
      await store.register(orders, [instance(1, { weight: 1 })], 'c1')
      await store.register(orders, [instance(1, { weight: 2 })], 'c2')
      expect(store.view(orders)?.instances.map(({ weight }) => weight)).to.deep.equal([2])
      store.connectionGone('c2')
      expect(store.view(orders)?.instances.map(({ weight }) => weight)).to.deep.equal([1])
      store.connectionGone('c1')
      expect(seen()).to.equal('')
    })

    it('cannot be taken back by others', async () => {
      const { store, seen } = manualStore()
      await store.register(orders, [instance(1)], 'c1')
      await store.deregister(orders, instance(1), 'c2')
      await store.deregister(orders, instance(1), undefined)
      expect(seen()).to.equal('1')
      await store.deregister(orders, instance(1), 'c1')
      expect(seen()).to.equal('')
    })

    it('wait out the grace time, and belong to who registers them again', async () => {
      const { store, pass, seen } = manualStore({ connectionGraceMs: 2_000 })
      await store.register(orders, [instance(1), instance(2)], 'c1')
      store.connectionGone('c1')
      pass(1_999)
      expect(seen()).to.equal('1 2')
      await store.register(orders, [instance(1)], 'c2')
      pass(1)
      expect(seen()).to.equal('1')
      pass(60_000)
      expect(seen()).to.equal('1')
    })

    it('are kept by heartbeats that come during the grace time', async () => {
      const { store, pass, seen } = manualStore({ connectionGraceMs: 2_000 })
      await store.register(orders, [instance(1)], 'c1')
      store.connectionGone('c1')
      expect(await store.beat(orders, { ip: '10.0.0.1', port: 1, cluster: 'DEFAULT' })).to.equal(true)
      pass(10_000)
      expect(seen()).to.equal('1')
      pass(21_000)
      expect(seen()).to.equal('')
    })
  })

  it('keeps persistent instances whatever happens, until they are taken back', async () => {
    const { store, pass, seen } = manualStore()
    await store.register(orders, [instance(1, { ephemeral: false })], undefined)
    pass(1_000_000)
    expect(seen()).to.equal('1')
    await store.deregister(orders, instance(1, { ephemeral: false }), undefined)
    expect(seen()).to.equal('')
  })

  it('refuses to mix persistent and ephemeral instances in one service', async () => {
    const { store } = manualStore()
    await store.register(orders, [instance(1)], undefined)
    expect(await kindOf(store.register(orders, [instance(2, { ephemeral: false })], undefined))).to.equal(
      'parameter-invalid',
    )
  })

  it('shows an instance that is published twice once', async () => {
    const { store, seen } = manualStore()
    await store.register(orders, [instance(1)], undefined)
    await store.register(orders, [instance(1)], undefined)
    await store.register(orders, [instance(1)], 'c1')
    expect(seen()).to.equal('1')
  })

  it("keeps an operator's change over a new registration, and drops it with the instance", async () => {
    const { store } = manualStore()
    const address = { ip: '10.0.0.1', port: 1, cluster: 'DEFAULT' }
    expect(await store.change(orders, address, { enabled: false })).to.equal(false)
    await store.register(orders, [instance(1)], undefined)
    expect(await store.change(orders, address, { enabled: false, weight: 7 })).to.equal(true)
    await store.register(orders, [instance(1)], undefined)
    expect(store.view(orders)?.instances[0]).to.include({ enabled: false, weight: 7 })
    await store.deregister(orders, instance(1), undefined)
    await store.register(orders, [instance(1)], undefined)
    expect(store.view(orders)?.instances[0]).to.include({ enabled: true, weight: 1 })
  })

  it('tells subscribers of each change until they are gone', async () => {
    const { store, pass } = manualStore()
    let heard = 0
    const subscription = store.subscribe(orders, () => heard++)
    await store.register(orders, [instance(1)], undefined)
    pass(16_000)
    pass(16_000)
    expect(heard).to.equal(3)
    subscription.unsubscribe()
    await store.register(orders, [instance(1)], undefined)
    expect(heard).to.equal(3)
  })

  it('forgets an empty service after a minute, unless it was made on purpose', async () => {
    const { store, pass } = manualStore()
    const made = { ...orders, name: 'made' }
    await store.createService(made, { protectThreshold: 0.5, metadata: {} })
    await store.register(orders, [instance(1)], 'c1')
    store.connectionGone('c1')
    pass(59_999)
    expect(await store.list('public', undefined)).to.have.length(2)
    pass(1)
    expect(await store.list('public', undefined)).to.deep.equal([made])
  })

  it('refuses services that exist, are unknown or are in use', async () => {
    const { store } = manualStore()
    const settings = { protectThreshold: 0, metadata: {} }
    await store.register(orders, [instance(1)], undefined)
    expect(await kindOf(store.createService(orders, settings))).to.equal('service-exists')
    expect(await kindOf(store.updateService({ ...orders, name: 'x' }, settings))).to.equal('service-unknown')
    expect(await kindOf(store.deleteService({ ...orders, name: 'x' }))).to.equal('service-unknown')
    expect(await kindOf(store.deleteService(orders))).to.equal('service-in-use')
  })

  it('refuses services and instances above the bounds and keeps what is there', async () => {
    const { store, seen } = manualStore({ limits: { maxServices: 1, maxInstances: 2 } })
    await store.register(orders, [instance(1), instance(2)], 'c1')
    expect(await kindOf(store.register(orders, [instance(3)], 'c2'))).to.equal('over-limit')
    expect(await kindOf(store.register({ ...orders, name: 'other' }, [], 'c2'))).to.equal('over-limit')
    expect(
      await kindOf(store.createService({ ...orders, name: 'other' }, { protectThreshold: 0, metadata: {} })),
    ).to.equal('over-limit')
    expect(seen()).to.equal('1 2')
    store.connectionGone('c1')
    expect(store.counts().instances).to.equal(0)
  })

  it('gives and takes what must outlive the process', async () => {
    const { store } = manualStore()
    await store.register(orders, [instance(1, { ephemeral: false })], undefined)
    await store.change(orders, { ip: '10.0.0.1', port: 1, cluster: 'DEFAULT' }, { weight: 3 })
    await store.register({ ...orders, name: 'short-lived' }, [instance(2)], undefined)
    const next = manualStore()
    next.store.restore(store.persistent())
    expect(next.store.services()).to.deep.equal([orders])
    expect(next.store.view(orders)?.instances[0]).to.include({ port: 1, weight: 3, ephemeral: false })
  })
})
