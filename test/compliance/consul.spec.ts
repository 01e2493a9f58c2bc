import { endpointId } from '../../contracts/endpoint.ts'
import { consulAdapter, putInstances } from '../support/consul/registry.ts'
import { startConsulStandIn } from '../support/consul/stand-in.ts'
import { startGate } from '../support/nacos/gate.ts'
import { describeRegistryAdapter } from './registry-adapter.ts'
import { describeRegistryFaults } from './registry-faults.ts'

const seen = (consul: Awaited<ReturnType<typeof startConsulStandIn>>, name: string) =>
  consul
    .services(name)
    .filter(({ status }) => status === 'passing')
    .map((one) => ({ id: endpointId(one), weight: one.passing ?? 1, metadata: one.meta ?? {} }))

describeRegistryAdapter(
  'Consul, stand-in',
  { register: true, config: false, cutOff: true, spoil: true, signsOfLife: true },
  async () => {
    const consul = await startConsulStandIn()
    const gate = await startGate(consul.port)
    return {
      namespace: 'public',
      createAdapter: () => consulAdapter(gate.port),
      put: async (service, instances) => {
        consul.lie(service.name, undefined)
        putInstances(consul, service, instances)
      },
      spoil: async (service) => consul.lie(service.name, '[{"Service": {"Port": "many"}}]'),
      seen: async (service) => seen(consul, service.name),
      cutOff: () => gate.shut(),
      comeBack: () => gate.open(),
      close: async () => {
        await gate.close()
        await consul.stop()
      },
    }
  },
)

describeRegistryFaults('Consul, stand-in', { register: true, deny: true, huge: true }, async () => {
  const consul = await startConsulStandIn()
  const gate = await startGate(consul.port)
  return {
    namespace: 'public',
    silenceMs: 20_000,
    createAdapter: () => consulAdapter(gate.port),
    put: async (service, instances) => putInstances(consul, service, instances),
    kill: () => consul.stop(),
    restart: () => consul.listen(),
    stall: () => gate.stall(),
    flow: () => gate.flow(),
    deny: async () => {
      consul.token = 'another'
      consul.resetIndex()
    },
    allow: async () => {
      consul.token = undefined
    },
    huge: async (service, bytes) => {
      const one = JSON.stringify({ Service: { Address: '10.1.0.9', Port: 1, Meta: { note: 'x'.repeat(4000) } } })
      consul.lie(service.name, `[${Array.from({ length: Math.ceil(bytes / one.length) }, () => one).join()}]`)
    },
    seen: async (service) => seen(consul, service.name).map(({ id }) => id),
    close: async () => {
      await gate.close()
      await consul.stop()
    },
  }
})
