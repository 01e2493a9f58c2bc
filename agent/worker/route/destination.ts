/** Where a route leads: compiled destinations and the choice among them by weight. */
import type { ServiceKey } from '../../../contracts/endpoint.ts'
import type { DestinationSpec } from '../../../contracts/route-spec.ts'
import { compileHeaderEdits, editsBehind } from './header-edits.ts'
import type { Destination, HeaderEdits, Route } from './types.ts'

/** Key into the worker's cluster table: `service|subset|port`, empty parts where there is none. */
export function clusterKey(service: ServiceKey, subset?: string, port?: number): string {
  return `${service}|${subset ?? ''}|${port ?? ''}`
}

/** What such a key is made of. */
export function keyParts(key: string): {
  service: ServiceKey
  subset: string | undefined
  port: number | undefined
} {
  const last = key.lastIndexOf('|')
  const middle = key.lastIndexOf('|', last - 1)
  const subset = key.slice(middle + 1, last)
  const port = key.slice(last + 1)
  return {
    service: key.slice(0, middle) as ServiceKey,
    subset: subset === '' ? undefined : subset,
    port: port === '' ? undefined : Number(port),
  }
}

/** What a caller means that names none. */
const httpPort = 80
/** The port of no endpoint. */
const noPort = 0

/** The key for a caller that named this port in Host (0 = none) and dialled that one. */
export function clusterKeyFor(destination: Destination, namedPort: number, localPort: number): string {
  const { portKeys } = destination
  if (portKeys === null) return destination.clusterKey
  const key = portKeys.get(namedPort === 0 ? localPort : namedPort)
  return key ?? (namedPort === 0 ? destination.clusterKey : destination.otherKey)
}

/** `request`, `response`: edits of its route, which its own stand behind. */
export function compileDestination(
  spec: DestinationSpec,
  request: HeaderEdits | null = null,
  response: HeaderEdits | null = null,
): Destination {
  const { service, subset, port, ports = [], hasOnlyPorts = false } = spec
  const ofPort = (one: number | undefined): string => clusterKey(service, subset, one)
  const usual = port ?? (hasOnlyPorts ? (ports.includes(httpPort) ? httpPort : ports[0]) : undefined)
  return {
    spec,
    clusterKey: ofPort(usual),
    portKeys: ports.length === 0 ? null : new Map(ports.map((one) => [one, ofPort(one)])),
    otherKey: ofPort(hasOnlyPorts ? noPort : port),
    authority: spec.authority ?? null,
    requestEdits: editsBehind(request, compileHeaderEdits(spec.requestHeaders)),
    responseEdits: editsBehind(response, compileHeaderEdits(spec.responseHeaders)),
  }
}

/** A subset that the caller chose, in place of the destinations of a route, whose other settings stay. */
export function subsetOf(route: Route, service: ServiceKey, subset: string): Destination {
  const known = route.destinations.find(({ spec }) => spec.service === service)
  const spec: DestinationSpec = { ...known?.spec, service, subset, weight: 1 }
  return compileDestination(spec, route.requestEdits, route.responseEdits)
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
