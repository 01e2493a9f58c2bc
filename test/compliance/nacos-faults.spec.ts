import { createNacosAdapter } from '../../registry-adapters/nacos/index.ts'
import { adapterConfig } from '../support/nacos/adapter-config.ts'
import { nacosDriver } from '../support/nacos/driver.ts'
import { startGate } from '../support/nacos/gate.ts'
import { needsNacos, startNacos } from '../support/nacos/server.ts'
import { eventually, recordedDeps } from '../support/registry-listener.ts'
import { describeRegistryFaults } from './registry-faults.ts'
import type { OutsideInstance } from './registry-adapter.ts'

/**
 * Refusals and lists of 100 MB are in test/unit/registry-adapters/nacos and test/e2e/nacos, by servers made for them.
 */
describeRegistryFaults('Nacos 2.3.1', { register: true, deny: false, huge: false, doubts: false }, async (context) => {
  await needsNacos(context)
  const server = await startNacos()
  const gates = await Promise.all([startGate(server.port), startGate(server.grpcPort)])
  const [http, grpc] = gates
  const namespace = `faults-${process.pid}`
  const driver = nacosDriver(server.url, namespace)
  const present = new Map<string, readonly OutsideInstance[]>()
  return {
    namespace,
    silenceMs: 30_000,
    createAdapter: () =>
      createNacosAdapter(
        adapterConfig([`127.0.0.1:${http.port}`], { namespace, grpcPortOffset: grpc.port - http.port }),
        recordedDeps(),
      ),
    put: async (service, instances) => {
      const before = present.get(service.name) ?? []
      present.set(service.name, instances)
      for (const instance of instances) await driver.put(service, instance)
      for (const { address, port } of before)
        if (!instances.some((one) => one.address === address && one.port === port))
          await driver.remove(service, { address, port })
      await eventually(async () => (await driver.seen(service)).length === instances.length, 'them at the server')
    },
    kill: () => server.kill(),
    restart: () => server.start(),
    stall: () => gates.forEach((gate) => gate.stall()),
    flow: () => gates.forEach((gate) => gate.flow()),
    seen: async (service) => (await driver.seen(service)).map(({ ip, port }) => `${ip}:${port}`),
    close: async () => {
      await Promise.all(gates.map((gate) => gate.close()))
      await server.stop()
    },
  }
})
