/** DNS: as a registry of services, and as the resolver of the names that rules declare. */
import type { AdapterDeps, RegistryAdapter } from '../../contracts/registry-adapter.ts'
import { DnsAdapter } from './adapter.ts'
import type { DnsAdapterConfig } from './config.ts'

export type { DnsAdapterConfig } from './config.ts'
export { createNames } from './names.ts'

/** Opens nothing before `start()`. */
export function createDnsAdapter(config: DnsAdapterConfig, deps: AdapterDeps): RegistryAdapter {
  return new DnsAdapter(config, deps)
}
