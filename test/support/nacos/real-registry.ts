/** A Nacos server as the compliance suite wants it: reached through gates, changed from outside by plain HTTP. */
import { createNacosAdapter } from '../../../registry-adapters/nacos/index.ts'
import type { NacosAdapterConfig } from '../../../registry-adapters/nacos/index.ts'
import type { ServiceName } from '../../../contracts/endpoint.ts'
import type { OutsideInstance, RegistryUnderTest } from '../../compliance/registry-adapter.ts'
import { eventually, recordedDeps } from '../registry-listener.ts'
import { adapterConfig } from './adapter-config.ts'
import { nacosDriver } from './driver.ts'
import { startGate } from './gate.ts'
import { sharedNacos } from './server.ts'
import type { NacosVersion } from './server.ts'

export async function realNacosRegistry(
  version: NacosVersion,
  more: Partial<NacosAdapterConfig> = {},
): Promise<RegistryUnderTest> {
  return nacosRegistry(await sharedNacos(version), async () => {}, more)
}

/** Any server that speaks the protocol; `stop` ends it. */
export async function nacosRegistry(
  server: { readonly port: number; readonly grpcPort: number; readonly url: string },
  stop: () => Promise<void>,
  more: Partial<NacosAdapterConfig> = {},
): Promise<RegistryUnderTest> {
  const gates = await Promise.all([startGate(server.port), startGate(server.grpcPort)])
  const [http, grpc] = gates
  const namespace = `compliance-${process.pid}`
  const driver = nacosDriver(server.url, namespace)
  const present = new Map<string, readonly OutsideInstance[]>()
  const same = (left: OutsideInstance, right: OutsideInstance): boolean =>
    left.address === right.address && left.port === right.port
  return {
    namespace,
    createAdapter: () =>
      createNacosAdapter(
        adapterConfig([`127.0.0.1:${http.port}`], { namespace, grpcPortOffset: grpc.port - http.port, ...more }),
        recordedDeps(),
      ),
    put: async (service, instances) => {
      const before = present.get(service.name) ?? []
      present.set(service.name, instances)
      for (const instance of instances) await driver.put(service, instance)
      for (const instance of before)
        if (!instances.some((other) => same(other, instance))) await driver.remove(service, instance)
      await eventually(async () => {
        const seen = await driver.seen(service)
        return seen.length === instances.length
      }, `${instances.length} instances at the server`)
    },
    seen: async (service: ServiceName) =>
      (await driver.seen(service)).map(({ ip, port, weight, metadata }) => ({ id: `${ip}:${port}`, weight, metadata })),
    cutOff: async () => {
      await Promise.all(gates.map((gate) => gate.shut()))
    },
    comeBack: async () => {
      await Promise.all(gates.map((gate) => gate.open()))
    },
    close: async () => {
      await Promise.all(gates.map((gate) => gate.close()))
      await stop()
    },
  }
}
