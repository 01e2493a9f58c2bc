import { expect } from 'chai'

import type { UpstreamCodec } from '../../../../../agent/worker/forward/streams.ts'
import { Dialer } from '../../../../../agent/worker/connect/dialer.ts'
import { noFilterCounts } from '../../../../../agent/worker/filters/filter-counts.ts'
import { filterTable } from '../../../../../agent/worker/filters/table.ts'
import { allFilterKinds } from '../../../../support/filter-kinds.ts'
import { VerdictCounts } from '../../../../../agent/worker/filters/verdict-counts.ts'
import { maxFallbacks, MeshState } from '../../../../../agent/worker/mesh/mesh-state.ts'
import { Clock } from '../../../../../agent/worker/transport/clock.ts'
import { TimerWheel } from '../../../../../agent/worker/transport/timer-wheel.ts'
import type { Transports } from '../../../../../agent/worker/transport/transport.ts'
import { MeshError } from '../../../../../contracts/errors.ts'
import type { ListenerSpec, Snapshot } from '../../../../../contracts/snapshot.ts'
import { endpointOf, keyOf, snapshotOf } from '../../../../support/worker/snapshots.ts'

const clusterOf = (name: string): string => `${keyOf(name)}||`

const codec: UpstreamCodec = {
  streamsPerLink: 1,
  understands: (from: unknown): from is null => from === null,
  openLink() {
    throw new Error('nothing is dialled here')
  },
}

function stateWith(snapshot: Snapshot, prepare: (named: object) => void = () => {}) {
  const listenerChanges: ReadonlyMap<string, ListenerSpec | null>[] = []
  let settings = 0
  const clock = new Clock(() => 1000)
  const wheel = new TimerWheel(
    () => 1000,
    () => {},
  )
  const dialer = new Dialer({
    transports: {} as Transports,
    wheel,
    clock,
    socketOptions: { apply() {}, watchClosely() {} },
    handshakes: { call: () => ({ cancel() {} }) },
    identities: { find: () => undefined },
    onRefused() {},
    refusal: () => null,
  })
  const filters = filterTable(allFilterKinds(), noFilterCounts(), new VerdictCounts(allFilterKinds()))
  const state = new MeshState(
    {
      pools: { dialer, wheel, clock, codecs: { of: () => codec } },
      filters,
      random: Math.random,
      now: () => 1000,
      limitShare: 1,
      kinds: { prepare, canSpeak: () => true },
    },
    {
      onListeners: (changed) => listenerChanges.push(changed),
      onSettings: () => settings++,
      onNames: () => {},
    },
  )
  state.load(snapshot)
  return { state, listenerChanges, settings: () => settings }
}

const two = (version = 1): Snapshot =>
  snapshotOf({
    services: [
      { name: 'orders', endpoints: [{ address: '10.0.0.1', port: 80 }] },
      { name: 'billing', endpoints: [{ address: '10.0.0.2', port: 80 }] },
    ],
    listen: { orders: { address: '127.0.0.1', port: 20_001 }, billing: { address: '127.0.0.1', port: 20_002 } },
    version,
  })

describe('what a worker knows', () => {
  it('changes nothing where a part that is needed cannot be loaded', () => {
    const missing = new MeshError('E_PART_MISSING', 'HTTP/2 cannot be loaded')
    const { state, settings } = stateWith(two(), (named) => {
      if ('baseVersion' in named || JSON.stringify(named).includes('shipping')) throw missing
    })
    const wider = snapshotOf({ services: [{ name: 'shipping', endpoints: [] }], listen: {}, version: 2 })
    expect(() => state.load(wider)).to.throw(missing)
    expect(() => state.apply({ baseVersion: 1, version: 2, services: wider.services })).to.throw(missing)
    expect([state.version, state.service(keyOf('shipping')), settings()]).to.deep.equal([1, undefined, 1])
    expect(state.service(keyOf('orders'))).not.to.equal(undefined)
  })

  it('makes a destination at its first use, and the same one after that', () => {
    const { state } = stateWith(two())
    expect([...state.serviceUpstreams()]).to.have.length(0)
    const first = state.upstream(clusterOf('orders'))
    expect(first!.cluster.states.map((endpoint) => endpoint.id)).to.deep.equal(['10.0.0.1:80'])
    expect(state.upstream(clusterOf('orders'))).to.equal(first)
    expect(state.upstream(clusterOf('nobody'))).to.equal(undefined)
  })

  it('changes the endpoints of one service and touches no other', () => {
    const { state } = stateWith(two())
    const orders = state.upstream(clusterOf('orders'))!
    const billing = state.upstream(clusterOf('billing'))!
    const [kept] = billing.cluster.states
    const host = state.names.host(keyOf('billing'))
    const service = keyOf('orders')
    const endpoints = [endpointOf('10.0.0.9', 80)]
    const set = { service, version: 2, endpoints, protectThreshold: 0, registry: 'main', confirmedAt: 0 }
    state.apply({ baseVersion: 1, version: 2, endpoints: { [service]: set } })
    expect(orders.cluster.states.map((endpoint) => endpoint.id)).to.deep.equal(['10.0.0.9:80'])
    expect(state.upstream(clusterOf('billing'))).to.equal(billing)
    expect(billing.cluster.states[0]).to.equal(kept)
    expect(state.names.host(keyOf('billing'))).to.equal(host)
  })

  it('keeps destinations over a whole snapshot, and closes those of services that are gone', () => {
    const { state } = stateWith(two())
    const orders = state.upstream(clusterOf('orders'))!
    const billing = state.upstream(clusterOf('billing'))!
    const next = snapshotOf({
      services: [{ name: 'orders', endpoints: [{ address: '10.0.0.1', port: 80 }] }],
      listen: {},
      version: 2,
    })
    state.load(next)
    expect(state.upstream(clusterOf('orders'))).to.equal(orders)
    expect(billing.pools.isClosed).to.equal(true)
    expect(state.upstream(clusterOf('billing'))).to.equal(undefined)
    expect(state.names.host(keyOf('billing'))).to.equal(undefined)
    expect(state.listeners.size).to.equal(0)
  })

  it('refuses a delta that does not follow, and is as before', () => {
    const { state } = stateWith(two(5))
    expect(() => state.apply({ baseVersion: 3, version: 6, names: { x: null } }))
      .to.throw()
      .with.property('code', 'E_WIRE')
    expect(state.version).to.equal(5)
    expect(state.names.findName('x')).to.equal(undefined)
  })

  it('refuses a snapshot of another format, and is as before', () => {
    const { state } = stateWith(two())
    expect(() => state.load({ ...two(9), format: 99 } as unknown as Snapshot))
      .to.throw()
      .with.property('code', 'E_WIRE')
    expect(state.version).to.equal(1)
    expect(state.names.host(keyOf('orders'))).to.not.equal(undefined)
  })

  it('tells which listeners came, changed and went', () => {
    const { listenerChanges, state } = stateWith(two())
    expect([...listenerChanges[0]!.keys()]).to.deep.equal(['service:orders', 'service:billing'])
    const extra: ListenerSpec = {
      name: 'extra',
      address: '127.0.0.1',
      port: 1,
      proxyProtocol: 'off',
      kind: 'shared-http',
    }
    state.apply({ baseVersion: 1, version: 2, listeners: { extra, 'service:orders': null } })
    expect([...listenerChanges[1]!.entries()]).to.deep.equal([
      ['extra', extra],
      ['service:orders', null],
    ])
    expect([...state.listeners.keys()]).to.deep.equal(['service:billing', 'extra'])
  })

  it('finds an authority with and without port, and forgets what it remembered when names change', () => {
    const { state } = stateWith(two())
    expect(state.findAuthority('orders:80')?.name).to.equal(keyOf('orders'))
    state.apply({ baseVersion: 1, version: 2, names: { orders: keyOf('billing') } })
    expect(state.findAuthority('orders:80')?.name).to.equal(keyOf('billing'))
    expect(state.findAuthority('new')).to.equal(undefined)
    state.apply({ baseVersion: 2, version: 3, names: { new: null } })
    expect(state.findAuthority('new')).to.equal(null)
    state.apply({ baseVersion: 3, version: 4, forgottenNames: ['new'] })
    expect(state.findAuthority('new')).to.equal(undefined)
  })

  it('asks again for every name that a whole snapshot does not answer, as the control behind it has never heard of it', () => {
    const { state } = stateWith(two())
    state.apply({ baseVersion: 1, version: 2, names: { gone: null, kept: null, orders: keyOf('orders') } })
    expect(state.findAuthority('gone')).to.equal(null)
    state.load({ ...two(3), names: { kept: null } })
    expect(state.findAuthority('gone')).to.equal(undefined)
    expect(state.findAuthority('kept')).to.equal(null)
  })

  it('takes fallback addresses from the allowed networks only, and a bounded number of them', () => {
    const snapshot = two()
    const { state } = stateWith({
      ...snapshot,
      mesh: { ...snapshot.mesh, fallbackNetworks: ['10.1.0.0/16', 'fd00::/8'] },
    })
    expect(state.fallback('10.1.2.3:80')).to.not.equal(null)
    expect(state.fallback('[fd00::1]:80')).to.not.equal(null)
    for (const text of ['10.2.0.1:80', '10.1.2.3', 'host:80', '10.1.2.3:0', '10.1.2.3:99999', '', ':80']) {
      expect(state.fallback(text), text).to.equal(null)
    }
    for (let i = 0; i < maxFallbacks + 50; i++) state.fallback(`10.1.${i >> 8}.${i & 255}:81`)
    expect([...state.everyUpstream()].length).to.be.at.most(maxFallbacks)
  })

  it('reports services that were used since it was last asked', () => {
    const { state } = stateWith(two())
    state.upstream(clusterOf('orders'))!.uses++
    expect(state.takeUsedServices()).to.deep.equal([keyOf('orders')])
    expect(state.takeUsedServices()).to.deep.equal([])
  })

  it('describes a destination for explain without making it', () => {
    const { state } = stateWith(two())
    expect(state.describe(clusterOf('orders'), 1000)!.candidates).to.have.length(1)
    expect([...state.serviceUpstreams()]).to.have.length(0)
  })
})
