import { expect } from 'chai'
import type { ServiceName } from '../../../../contracts/endpoint.ts'
import type { Registration } from '../../../../contracts/registry-adapter.ts'
import { clientRequests } from '../../../../registry-adapters/nacos/wire/messages.ts'
import { adapterBench } from '../../../support/nacos/bench-of-adapters.ts'
import { startGate } from '../../../support/nacos/gate.ts'
import type { Gate } from '../../../support/nacos/gate.ts'
import { eventually, recordingListener } from '../../../support/registry-listener.ts'

const named = (name: string): ServiceName => ({ namespace: 'public', group: 'DEFAULT_GROUP', name })
const orders = named('orders')
const billing = named('billing')
const here = named('here')
const registration = (port: number): Registration => ({
  service: here,
  address: '10.2.0.1',
  port,
  weight: 1,
  cluster: 'DEFAULT',
  healthy: true,
  enabled: true,
  metadata: {},
})
const hosts = (count: number) => Array.from({ length: count }, (_, index) => ({ ip: `10.0.0.${index + 1}` }))
const ids = (count: number): string[] => Array.from({ length: count }, (_, index) => `10.0.0.${index + 1}:80`)

const patient = { requestTimeoutMs: 30_000, connectTimeoutMs: 30_000 }
const impatient = { requestTimeoutMs: 300, connectTimeoutMs: 600 }

describe('the Nacos adapter in a network cut, when packets vanish and nothing is refused', () => {
  const bench = adapterBench()
  const gates: Gate[] = []
  afterEach(async () => {
    await bench.closeAll()
    await Promise.all(gates.splice(0).map((gate) => gate.close()))
  })

  const cuttable = async (times: { readonly requestTimeoutMs: number; readonly connectTimeoutMs: number }) => {
    const server = await bench.server()
    const [http, grpc] = [await startGate(server.port), await startGate(server.grpcPort)]
    gates.push(http, grpc)
    server.setHosts(orders, hosts(2))
    const { adapter, deps } = bench.open([{ ...server, address: `127.0.0.1:${http.port}` }], {
      grpcPortOffset: grpc.port - http.port,
      times,
    })
    const listener = recordingListener()
    adapter.subscribe(orders, listener)
    const handle = adapter.register(registration(1))
    await listener.untilIds(ids(2))
    await eventually(() => handle.state === 'registered', 'the registration')
    return {
      server,
      adapter,
      deps,
      listener,
      handle,
      cut: () => gates.forEach((gate) => gate.stall()),
      mend: () => gates.forEach((gate) => gate.flow()),
    }
  }

  it('carries on after one that was over before anybody noticed', async () => {
    const { server, listener, handle, deps, cut, mend } = await cuttable(patient)
    cut()
    server.setHosts(orders, hosts(3))
    handle.update({ weight: 5 })
    mend()
    await listener.untilIds(ids(3))
    await eventually(() => server.store.instances(here)[0]?.weight === 5, 'the new weight')
    expect(listener.problems).to.deep.equal([])
    expect(deps.counted('registry_losses')).to.equal(0)
  })

  for (const [length, hasForgotten] of [
    ['longer than requests and connections wait', false],
    ['so long that the server has forgotten all instances of this host', true],
  ] as const)
    it(`restores what is wanted, as it is wanted by then, after one ${length}`, async () => {
      const { server, adapter, listener, handle, deps, cut, mend } = await cuttable(impatient)
      cut()
      await eventually(() => listener.problems.length === 1 && handle.state === 'failing', 'the cut to be noticed')
      await eventually(() => deps.counted('registry_connect_failures') >= 2, 'two rounds without a server')
      // life goes on here and there
      if (hasForgotten) server.store.setHosts(here, [])
      server.setHosts(orders, hosts(3))
      server.setHosts(billing, hosts(4))
      handle.update({ weight: 5, metadata: { version: 'v2' } })
      const added = adapter.register(registration(2))
      const dropped = adapter.register(registration(3))
      await eventually(() => dropped.state === 'failing', 'a registration that nobody answers')
      const removal = dropped.deregister(30_000)
      const second = recordingListener()
      adapter.subscribe(billing, second)
      mend()
      await listener.untilIds(ids(3))
      await second.untilIds(ids(4))
      await removal
      await eventually(() => handle.state === 'registered' && added.state === 'registered', 'both applications')
      expect(
        server.store.instances(here).map(({ port, weight, metadata }) => ({ port, weight, metadata })),
      ).to.have.deep.members([
        { port: 1, weight: 5, metadata: { version: 'v2' } },
        { port: 2, weight: 1, metadata: {} },
      ])
      expect(listener.sets.every(({ endpoints }) => endpoints.length >= 2)).to.equal(true)
      expect(adapter.status()).to.include({ connected: true, registrations: 2, subscriptions: 2 })
      const present = server.connections.filter(({ subscribed }) => subscribed.size > 0)
      expect(present.map(({ subscribed }) => subscribed.size)).to.include(2)
      expect(server.grpcSeen.filter(({ type }) => type === clientRequests.subscribeService).length).to.be.at.most(3)
      expect(deps.lines.join('\n')).to.include('what is known stays in use')
    })
})
