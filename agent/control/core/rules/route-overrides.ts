/** Who may send calls of a service elsewhere by `x-mesh-route`: the most specific MeshPolicy that says so decides. */
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import type { RouteOverridesSpec } from '../../../../contracts/route-spec.ts'
import { groupOfKey, nameOfKey, namespaceOfKey } from './rule-host.ts'
import type { Place } from './rule-host.ts'
import type { ResourceOf } from './rule-resource.ts'

/** As a field of a virtual host: absent when nobody may. `scope`: where names without a namespace and group are. */
export function overridesField(
  key: ServiceKey,
  policies: readonly ResourceOf<'MeshPolicy'>[],
  scope: Place,
): { readonly overrides?: RouteOverridesSpec } {
  for (const { origin, reader, spec } of policies) {
    if (spec.routeOverrides === undefined) continue
    const { callers, destinations = [] } = spec.routeOverrides
    const services: Record<string, ServiceKey> = {}
    for (const host of destinations) {
      const destination = reader.resolve(host)
      for (const name of [...namesOf(destination, scope), host]) services[name] = destination
    }
    for (const name of namesOf(key, scope)) services[name] = key
    return { overrides: { callers, services, origin: origin('spec.routeOverrides') } }
  }
  return {}
}

function namesOf(key: ServiceKey, { group, namespace }: Place): string[] {
  const name = nameOfKey(key)
  const isNear = namespaceOfKey(key) === namespace
  return [
    key,
    ...(isNear ? [`${groupOfKey(key)}@@${name}`] : []),
    ...(isNear && groupOfKey(key) === group ? [name] : []),
  ]
}
