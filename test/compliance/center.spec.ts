import { ToldCenter, centerAdapterAt } from '../support/center/told-center.ts'
import { startGate } from '../support/nacos/gate.ts'
import { describeRegistryAdapter } from './registry-adapter.ts'
import { describeRegistryFaults } from './registry-faults.ts'

describeRegistryAdapter(
  'center',
  { register: false, config: false, cutOff: true, spoil: true, lists: false },
  async () => {
    const center = new ToldCenter()
    await center.start()
    const gate = await startGate(center.port)
    return {
      namespace: 'public',
      createAdapter: () => centerAdapterAt(gate.port),
      put: (service, instances) => Promise.resolve(center.put(service, instances)),
      spoil: (service) => Promise.resolve(center.set(service, Buffer.from([0x12, 0x7f, 0x01]))),
      cutOff: () => gate.shut(),
      comeBack: () => gate.open(),
      close: async () => {
        await gate.close()
        await center.stop()
      },
    }
  },
)

describeRegistryFaults('center', { register: false, deny: false, huge: false }, async () => {
  const center = new ToldCenter()
  await center.start()
  const gate = await startGate(center.port)
  return {
    namespace: 'public',
    silenceMs: 20_000,
    createAdapter: () => centerAdapterAt(gate.port),
    put: (service, instances) => Promise.resolve(center.put(service, instances)),
    kill: () => center.stop(),
    restart: () => center.start(),
    stall: () => gate.stall(),
    flow: () => gate.flow(),
    close: async () => {
      await gate.close()
      await center.stop()
    },
  }
})
