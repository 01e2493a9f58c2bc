/** Which services a MeshPolicy is about. */
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import { covers } from './rule-host.ts'
import type { ResourceOf } from './rule-resource.ts'

/** -1: does not apply; 0: to everything; a wildcard by its length; an exact host before all. */
export function specificity(policy: ResourceOf<'MeshPolicy'>, key: ServiceKey): number {
  if (policy.hosts === undefined) return 0
  let rank = -1
  for (const host of policy.hosts) {
    if (host.key === key) return Number.MAX_SAFE_INTEGER
    if (covers(host, key)) rank = Math.max(rank, host.suffix?.length ?? 0)
  }
  return rank
}

export function namesExactly(policy: ResourceOf<'MeshPolicy'>, key: ServiceKey): boolean {
  return policy.hosts?.some((host) => host.key === key) ?? false
}
