import { realNacosRegistry } from '../support/nacos/real-registry.ts'
import { needsNacos } from '../support/nacos/server.ts'
import { describeRegistryAdapter } from './registry-adapter.ts'

const abilities = { register: true, config: true, cutOff: true, spoil: false }

describeRegistryAdapter('nacos over HTTP only, on a real 2.3.1', abilities, async (context) => {
  await needsNacos(context)
  return realNacosRegistry('2.3.1', { transport: 'http', api: 'v1' })
})
