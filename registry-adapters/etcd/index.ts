/** The etcd adapter: a plain layout over etcd's JSON gateway, on our own HTTP client. */
import type { AdapterDeps, RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { EtcdAdapter } from './adapter.ts'
import type { EtcdAdapterConfig } from './config.ts'

export type { EtcdAdapterConfig } from './config.ts'

/** Opens nothing before `start()`. */
export function createEtcdAdapter(config: EtcdAdapterConfig, deps: AdapterDeps): RegistryAdapter {
  return new EtcdAdapter(config, deps)
}
