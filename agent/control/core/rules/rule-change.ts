/** What a change of rules touches. */
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import { covers } from './rule-host.ts'
import type { RuleIndex } from './rule-index.ts'
import type { RuleResource } from './rule-resource.ts'
import type { RuleChange } from './types.ts'

/** Those that came, went, or say something else. */
export function changedResources(
  before: ReadonlyMap<string, RuleResource>,
  after: ReadonlyMap<string, RuleResource>,
): RuleResource[] {
  const changed: RuleResource[] = []
  for (const [id, resource] of before) {
    if (after.get(id)?.fingerprint !== resource.fingerprint) changed.push(resource)
  }
  for (const [id, resource] of after) {
    if (before.get(id)?.fingerprint !== resource.fingerprint) changed.push(resource)
  }
  return changed
}

/** With those of wildcards above the changed hosts, whose exceptions may differ now. */
export function affectedKeys(changed: readonly RuleResource[], index: RuleIndex): RuleChange['affected'] {
  const keys = new Set<ServiceKey>()
  for (const { hosts } of changed) {
    if (hosts === undefined || hosts.some((host) => host.suffix !== undefined)) return 'all'
    for (const host of hosts) {
      keys.add(host.key)
      for (const table of [index.virtualServices, index.serviceEntries]) {
        for (const wildcard of table.wildcards()) if (covers(wildcard.host, host.key)) keys.add(wildcard.host.key)
      }
    }
  }
  return keys
}
