import { startEmbeddedRegistry } from '../../registry-adapters/nacos/embedded/embedded.ts'
import { nacosRegistry } from '../support/nacos/real-registry.ts'
import { describeRegistryAdapter } from './registry-adapter.ts'

const abilities = { register: true, config: true, cutOff: true, spoil: false }

describeRegistryAdapter('nacos on the embedded registry', abilities, async () => {
  const registry = await startEmbeddedRegistry({ mergeWindowMs: 50, sweepMs: 200 })
  const { port, grpcPort, address } = registry
  return await nacosRegistry({ port, grpcPort, url: `http://${address}/nacos` }, () => registry.close())
})
