/** A global mesh center as a registry: endpoints and rules of the services in use, by incremental xDS. */
import type { AdapterDeps, RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { CenterAdapter } from './adapter.ts'
import type { CenterAdapterConfig } from './config.ts'

export type { CenterAdapterConfig } from './config.ts'

/** Opens nothing before `start()`. */
export function createCenterAdapter(config: CenterAdapterConfig, deps: AdapterDeps): RegistryAdapter {
  return new CenterAdapter(config, deps)
}
