/** A foreign control plane as a registry: clusters, endpoints and routes by Envoy's discovery. */
import type { AdapterDeps, RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { XdsAdapter } from './adapter.ts'
import type { XdsAdapterConfig } from './config.ts'

export type { XdsAdapterConfig } from './config.ts'

/** Opens nothing before `start()`. */
export function createXdsAdapter(config: XdsAdapterConfig, deps: AdapterDeps): RegistryAdapter {
  return new XdsAdapter(config, deps)
}
