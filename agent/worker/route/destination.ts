/** Where a route leads: compiled destinations and the choice among them by weight. */
import type { ServiceKey } from '../../../contracts/endpoint.ts'
import type { DestinationSpec } from '../../../contracts/route-spec.ts'
import { compileHeaderEdits } from './header-edits.ts'
import type { Destination } from './types.ts'

/** Key into the worker's cluster table: `service|subset|port`, empty parts where there is none. */
export function clusterKey(service: ServiceKey, subset?: string, port?: number): string {
  return `${service}|${subset ?? ''}|${port ?? ''}`
}

export function compileDestination(spec: DestinationSpec): Destination {
  return {
    spec,
    clusterKey: clusterKey(spec.service, spec.subset, spec.port),
    requestEdits: compileHeaderEdits(spec.requestHeaders),
    responseEdits: compileHeaderEdits(spec.responseHeaders),
  }
}

/** By weight; `random` is 0..1, exclusive. undefined only for a route without destinations. */
export function chooseDestination(
  route: { readonly destinations: readonly Destination[] },
  random: number,
): Destination | undefined {
  const destinations = route.destinations
  if (destinations.length <= 1) return destinations[0]
  let total = 0
  for (let i = 0; i < destinations.length; i++) total += destinations[i]!.spec.weight
  let rest = random * total
  for (let i = 0; i < destinations.length - 1; i++) {
    rest -= destinations[i]!.spec.weight
    if (rest < 0) return destinations[i]
  }
  return destinations.at(-1)
}
