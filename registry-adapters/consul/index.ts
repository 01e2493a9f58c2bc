/** The Consul adapter, on our own HTTP client (`../http/http-client.ts`). */
import type { AdapterDeps, RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { ConsulAdapter } from './adapter.ts'
import type { ConsulAdapterConfig } from './config.ts'

export type { ConsulAdapterConfig } from './config.ts'

/** Opens nothing before `start()`. */
export function createConsulAdapter(config: ConsulAdapterConfig, deps: AdapterDeps): RegistryAdapter {
  return new ConsulAdapter(config, deps)
}
