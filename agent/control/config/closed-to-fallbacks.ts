/** Where this host itself listens by its configuration: what no caller may name by `x-mesh-fallback`. */
import type { ListeningAddress } from '../../../contracts/snapshot.ts'
import { isAny } from '../host/applications/place.ts'
import { ownAddresses } from './own-addresses.ts'
import type { AgentConfig } from './types.ts'

/** A host's own address need not be one of an interface. */
export function closedToFallbacks(config: AgentConfig): ListeningAddress[] {
  return ownAddresses(config).flatMap(({ host, port }) => [
    { address: host, port },
    ...(isAny(host) ? [{ address: config.host.address, port }] : []),
  ])
}
