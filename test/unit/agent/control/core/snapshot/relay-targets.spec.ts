import { expect } from 'chai'
import {
  centerOrder,
  recordsPerTurn,
  relayTargets,
  type WrittenTargets,
} from '../../../../../../agent/control/core/snapshot/relay-targets.ts'
import { SnapshotStore } from '../../../../../../agent/control/core/snapshot/store.ts'
import { serviceKey, type EndpointSet, type ServiceKey } from '../../../../../../contracts/endpoint.ts'
import { defaultTrafficPolicy } from '../../../../../../contracts/policy-spec.ts'
import type { ListenerSpec, MeshSpec, NodeSpec, ServiceSpec } from '../../../../../../contracts/snapshot.ts'
import { endpoint } from '../../support/fake-registry.ts'

const defaults = { namespace: 'public', group: 'DEFAULT_GROUP' }
const keyOf = (name: string): ServiceKey => serviceKey({ ...defaults, name })

function storeOf(services: readonly string[]): SnapshotStore {
  const store = new SnapshotStore(0, {} as NodeSpec, {} as MeshSpec, () => undefined)
  for (const [index, name] of services.entries()) {
    const key = keyOf(name)
    const listener = { kind: 'service', name: `port of ${name}`, service: key, virtualHost: key, protocol: 'http' }
    store.setListener(listener.name, listener as ListenerSpec)
    store.setService(key, serviceAt(key, `10.0.${index >> 8}.${index & 255}:80`))
    store.setName(`also-${name}`, key)
  }
  return store
}

function serviceAt(key: ServiceKey, ...ids: string[]): ServiceSpec {
  const endpoints = ids.map((id) => endpoint(id))
  const set: EndpointSet = {
    service: key,
    version: 1,
    endpoints,
    protectThreshold: 0,
    registry: 'main',
    confirmedAt: 1,
  }
  return { key, protocol: 'http', policy: defaultTrafficPolicy, subsets: {}, portPolicies: {}, endpoints: set }
}

const written = (
  store: Parameters<typeof relayTargets>[0],
  nextTurn: () => Promise<void> = async () => undefined,
): Promise<WrittenTargets> => relayTargets(store, 'h', [], [], defaults, 1, false, false, new WeakMap(), nextTurn)

describe('what the relay may use', () => {
  it('is each service under all names that a caller may use, whatever these are', async () => {
    const store = storeOf(['orders', 'Users'])
    store.setName('__proto__', keyOf('orders'))
    store.setName('nobody', null)
    const { listeners, names, services } = await written(store)
    expect(Object.fromEntries(services)).to.deep.equal({
      [keyOf('orders')]: ['10.0.0.0:80'],
      [keyOf('Users')]: ['10.0.0.1:80'],
    })
    expect([...names.keys()].filter((name) => names.get(name) === keyOf('Users'))).to.have.members([
      'Users',
      'users',
      'also-Users',
      'DEFAULT_GROUP@@Users',
      keyOf('Users'),
    ])
    expect(names.get('__proto__')).to.equal(keyOf('orders'))
    expect(names.has('nobody')).to.equal(false)
    expect([...listeners.keys()]).to.deep.equal(['port of orders', 'port of Users'])
  })

  it('is put together without keeping a change of a registry waiting, however many services there are', async () => {
    const mostAtOnce = async (count: number): Promise<number> => {
      const store = storeOf(Array.from({ length: count }, (_, index) => `s${index}`))
      let most = 0
      let looks = 0
      const counting = Object.assign(Object.create(store) as SnapshotStore, {
        service: (key: ServiceKey) => {
          most = Math.max(most, ++looks)
          return store.service(key)
        },
      })
      const { services } = await written(counting, async () => void (looks = 0))
      expect(services.size).to.equal(count)
      return most
    }
    const few = await mostAtOnce(2 * recordsPerTurn)
    expect(few).to.be.within(recordsPerTurn, 10 * recordsPerTurn)
    expect(await mostAtOnce(40 * recordsPerTurn)).to.equal(few)
  })

  it('tells of a service that comes meanwhile, or not, and of nothing by half', async () => {
    const store = storeOf(Array.from({ length: 2 * recordsPerTurn }, (_, index) => `s${index}`))
    const { names, services } = await written(store, async () => {
      store.setService(keyOf('s0'), serviceAt(keyOf('s0'), '10.9.0.1:80'))
      store.setService(keyOf('s99'), undefined)
      store.setName('new', keyOf('s1'))
    })
    for (const key of new Set(names.values())) expect(services.get(key), key).to.have.length(1)
    expect(services.get(keyOf('s1'))).to.deep.equal(['10.0.0.1:80'])
  })
})

describe('the order of centers', () => {
  const centers = Array.from({ length: 4 }, (_, index) => ({ host: `10.0.0.${index}`, port: 15_443 }))

  it('is the same on every start of a host, whatever order the operator wrote', () => {
    expect(centerOrder('host-1', centers)).to.deep.equal(centerOrder('host-1', centers.toReversed()))
  })

  it('spreads the first choice of many hosts over all centers', () => {
    const first = new Map<string, number>()
    for (let host = 0; host < 1000; host++) {
      const choice = centerOrder(`host-${host}`, centers)[0]!
      first.set(choice, (first.get(choice) ?? 0) + 1)
    }
    expect(first.size).to.equal(4)
    for (const count of first.values()) expect(count).to.be.within(180, 320)
  })
})
