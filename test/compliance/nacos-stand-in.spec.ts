import { createNacosAdapter } from '../../registry-adapters/nacos/index.ts'
import { adapterConfig } from '../support/nacos/adapter-config.ts'
import { startFaultServer } from '../support/nacos/fault-server.ts'
import { recordedDeps } from '../support/registry-listener.ts'
import { describeRegistryAdapter } from './registry-adapter.ts'

for (const dialect of ['1.x', '2.x', '3.x'] as const) {
  const abilities = { register: true, config: true, cutOff: true, spoil: true }
  describeRegistryAdapter(`nacos on a stand-in of ${dialect}`, abilities, async () => {
    const server = await startFaultServer({ dialect })
    return {
      namespace: 'public',
      createAdapter: () =>
        createNacosAdapter(adapterConfig([server.address], { grpcPortOffset: server.grpcPortOffset }), recordedDeps()),
      put: (service, instances) => {
        const hosts = instances.map(({ address, ...rest }) => ({ ip: address, ...rest }))
        server.setHosts(service, hosts)
        return Promise.resolve()
      },
      spoil: (service) => {
        server.store.spoil(service)
        return Promise.resolve()
      },
      seen: (service) =>
        Promise.resolve(
          server.store
            .instances(service)
            .filter(({ enabled }) => enabled)
            .map(({ ip, port, weight, metadata }) => ({ id: `${ip}:${port}`, weight, metadata })),
        ),
      cutOff: () => server.stop(),
      comeBack: () => server.start(),
      close: () => server.stop(),
    }
  })
}
