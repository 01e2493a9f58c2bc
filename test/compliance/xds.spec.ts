import { serviceKey, type ServiceName } from '../../contracts/endpoint.ts'
import type { RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { createXdsAdapter } from '../../registry-adapters/xds/index.ts'
import { startGate } from '../support/nacos/gate.ts'
import { recordedDeps } from '../support/registry-listener.ts'
import { ControlPlane, assignment, cluster, needsControlPlane, type Resource } from '../support/xds/control-plane.ts'
import { describeRegistryAdapter, type OutsideInstance } from './registry-adapter.ts'
import { describeRegistryFaults } from './registry-faults.ts'

function adapterAt(port: number): RegistryAdapter {
  return createXdsAdapter(
    {
      name: 'envoys',
      servers: [{ host: '127.0.0.1', port }],
      namespace: 'public',
      group: 'DEFAULT_GROUP',
      node: 'host-1',
      cluster: 'hostmesh',
      tls: () => undefined,
      token: () => undefined,
      maxEndpoints: 10_000,
    },
    recordedDeps(),
  )
}

async function setUp(context: Mocha.Context) {
  const plane = await ControlPlane.start(await needsControlPlane(context))
  const gate = await startGate(plane.port)
  const known = new Map<string, readonly Resource[]>()
  const set = async (service: ServiceName, resources: readonly Resource[]): Promise<void> => {
    known.set(serviceKey(service), resources)
    await plane.say([...known.values()].flat())
  }
  await set({ namespace: 'public', group: 'DEFAULT_GROUP', name: 'first' }, [cluster('first'), assignment('first', [])])
  return {
    plane,
    gate,
    put: async (service: ServiceName, instances: readonly OutsideInstance[]) =>
      set(service, [cluster(service.name), assignment(service.name, instances)]),
    spoil: async (service: ServiceName) =>
      set(service, [cluster(service.name), assignment(service.name, [{ address: 'nowhere', port: 80 }])]),
    close: async () => {
      await gate.close()
      await plane.kill()
    },
  }
}

describeRegistryAdapter('xds', { register: false, config: false, cutOff: true, spoil: true }, async (context) => {
  const { close, gate, put, spoil } = await setUp(context)
  return {
    namespace: 'public',
    createAdapter: () => adapterAt(gate.port),
    put,
    spoil,
    cutOff: () => gate.shut(),
    comeBack: () => gate.open(),
    close,
  }
})

describeRegistryFaults('xds', { register: false, deny: false, huge: false }, async (context) => {
  const { close, gate, plane, put } = await setUp(context)
  return {
    namespace: 'public',
    silenceMs: 20_000,
    createAdapter: () => adapterAt(gate.port),
    put,
    kill: () => plane.kill(),
    restart: () => plane.start(),
    stall: () => gate.stall(),
    flow: () => gate.flow(),
    close,
  }
})
