/** The section of a store in Nacos, as a registry that is asked for documents alone. */
import { nacosKind } from '../../agent/control/kinds/nacos.ts'
import type { AdapterDeps, RegistryAdapter } from '../../contracts/registry-adapter.ts'
import type { NacosStoreSection } from '../config/schema.ts'

type Registry = Parameters<typeof nacosKind.create>[0]

/** Nothing is announced and no endpoint is asked for. */
const settings = {
  endpoints: { allowLoopbackEndpoints: false, maxPerService: 1 },
  hostName: '',
  hostAddress: '',
  isOwnPort: () => false,
}

export function registryOf({ prefix: _prefix, ...section }: NacosStoreSection): Registry {
  return { ...section, name: 'store', cluster: 'DEFAULT', api: 'auto' }
}

export function storeAdapter(section: NacosStoreSection, deps: AdapterDeps): Promise<RegistryAdapter> {
  return nacosKind.create(registryOf(section), settings, deps)
}
