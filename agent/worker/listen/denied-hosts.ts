import type { PeerIdentity } from '../../../contracts/peer-identity.ts'
import type { ListenerSpec } from '../../../contracts/snapshot.ts'
import { parseSpiffeId } from '../../../contracts/spiffe-id.ts'
import { noIdentity } from '../transport/transport.ts'
import type { Accepted } from './accepted.ts'
import type { Movable } from './movable.ts'

/** The hosts that the authority of a center denies, by the names in their certificates. */
export class DeniedHosts {
  /** Those of the listener that was asked about last. */
  private names: readonly string[] | undefined
  private set: ReadonlySet<string> = new Set()

  /** Whether a relay listener takes nothing from this peer. */
  isDenied(spec: ListenerSpec | undefined, identity: PeerIdentity): boolean {
    if (spec?.kind !== 'relay' || spec.deniedHosts === undefined || identity.kind !== 'spiffe') return false
    if (spec.deniedHosts !== this.names) {
      this.names = spec.deniedHosts
      this.set = new Set(this.names)
    }
    const id = parseSpiffeId(identity.id)
    return id?.kind === 'host' && this.set.has(id.host)
  }
}

/** Cuts the relayed connections of hosts that a changed listener denies; answers how many. */
export function cutDenied(
  live: { list(): readonly (Movable & { readonly accepted?: Accepted })[] },
  changed: ReadonlyMap<string, ListenerSpec | null>,
): number {
  const denied = new DeniedHosts()
  let cut = 0
  for (const spec of changed.values()) {
    if (spec?.kind !== 'relay' || spec.deniedHosts === undefined) continue
    for (const connection of live.list()) {
      const identity = connection.accepted?.identity ?? noIdentity
      if (connection.listener !== spec.name || !denied.isDenied(spec, identity)) continue
      connection.abort()
      cut++
    }
  }
  return cut
}
