/** Which policies of security.istio.io are about a service or an application of it. */
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import { groupOfKey, namespaceOfKey, placeOf } from './rule-host.ts'
import type { HostScope } from './rule-host.ts'
import type { RuleReader } from './virtual-service.ts'
import type { WorkloadScope } from './workload-scope-shape.ts'

/** A resource of such a kind. */
export interface ScopedResource {
  readonly namespace: string
  readonly spec: WorkloadScope
  readonly reader: Pick<RuleReader, 'resolve'>
}

/**
 * Of the root namespace, or of that of the service. One that stands for a group is that group; others have all theirs.
 */
export function isOfNamespace({ namespace }: ScopedResource, key: ServiceKey, scope: HostScope): boolean {
  if (namespace === scope.rootNamespace) return true
  const place = placeOf(namespace, scope)
  if (place.namespace !== namespaceOfKey(key)) return false
  return place.group === scope.group || place.group === groupOfKey(key)
}

export function targetsOf({ targetRef, targetRefs }: WorkloadScope) {
  return [...(targetRef === undefined ? [] : [targetRef]), ...(targetRefs ?? [])]
}

export type TargetRef = ReturnType<typeof targetsOf>[number]

/** Whether it stands before an application of the service with these labels. */
export function isBefore(
  resource: ScopedResource,
  key: ServiceKey,
  labels: Readonly<Record<string, string>>,
  scope: HostScope,
): boolean {
  if (!isOfNamespace(resource, key, scope)) return false
  const { namespace, reader, spec } = resource
  const targets = targetsOf(spec)
  if (targets.length > 0) {
    return targets.some(
      (target) =>
        target.kind === 'Service' &&
        (target.namespace === undefined || target.namespace === namespace) &&
        reader.resolve(target.name) === key,
    )
  }
  return Object.entries(spec.selector?.matchLabels ?? {}).every(([name, value]) => labels[name] === value)
}
