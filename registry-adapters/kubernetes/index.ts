/** The Kubernetes adapter, on our own HTTP client: one kind of object by list and watch needs no client library. */
import type { AdapterDeps, RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { KubernetesAdapter } from './adapter.ts'
import type { KubernetesAdapterConfig } from './config.ts'

export type { ClusterAccess, KubernetesAdapterConfig } from './config.ts'

/** Opens nothing before `start()`. */
export function createKubernetesAdapter(config: KubernetesAdapterConfig, deps: AdapterDeps): RegistryAdapter {
  return new KubernetesAdapter(config, deps)
}
