/** The services that compiled routes lead to. */
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import type { DestinationSpec, HttpRouteSpec, VirtualHostSpec } from '../../../../contracts/route-spec.ts'

export function withDestinations(
  route: HttpRouteSpec,
  change: (one: DestinationSpec) => DestinationSpec,
): HttpRouteSpec {
  const { action } = route
  const mirrors = route.mirrors?.map((one) => ({ ...one, destination: change(one.destination) }))
  return {
    ...route,
    action: action.kind === 'forward' ? { ...action, destinations: action.destinations.map(change) } : action,
    ...(mirrors === undefined ? {} : { mirrors }),
  }
}

/** Sorted, each once. */
export function servicesOf(spec: Pick<VirtualHostSpec, 'http' | 'tcp'>): ServiceKey[] {
  const services = new Set<ServiceKey>()
  const add = (route: HttpRouteSpec): void => {
    if (route.action.kind === 'forward') for (const one of route.action.destinations) services.add(one.service)
    for (const mirror of route.mirrors ?? []) services.add(mirror.destination.service)
  }
  spec.http.forEach(add)
  for (const route of spec.tcp) for (const one of route.destinations) services.add(one.service)
  return [...services].toSorted()
}
