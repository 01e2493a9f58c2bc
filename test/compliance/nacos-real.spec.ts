import { needsNacos } from '../support/nacos/server.ts'
import { realNacosRegistry } from '../support/nacos/real-registry.ts'
import { describeRegistryAdapter } from './registry-adapter.ts'

const abilities = { register: true, config: true, cutOff: true, spoil: false }

for (const version of ['2.3.1', '2.2.4'] as const)
  describeRegistryAdapter(`nacos on a real ${version}`, abilities, async (context) => {
    await needsNacos(context)
    return realNacosRegistry(version)
  })
