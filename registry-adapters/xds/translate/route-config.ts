/** A route configuration as VirtualServices, one for each of its virtual hosts. */
import { hostOf, type Place } from '../names.ts'
import type { Faults } from '../wire/faults.ts'
import type { RouteConfigMessage } from '../wire/route.ts'
import { readRoute } from './route.ts'

export interface VirtualHost {
  readonly name: string
  /** As written; what they are here depends on the listener. */
  readonly domains: readonly string[]
  /** `http` of a VirtualService; empty = it has no routes. */
  readonly http: readonly object[]
}

export function readRouteConfig(
  message: RouteConfigMessage,
  path: string,
  place: Place,
  faults: Faults,
): VirtualHost[] {
  return (message.virtual_hosts ?? []).map((host, at) => {
    const where = `${path}virtual_hosts[${at}]`
    const domains = host.domains ?? []
    domains.forEach((domain, index) => {
      // of '*' it counts what its listener is called
      if (domain !== '*' && hostOf(domain, '', place) === undefined)
        faults.add(`${where}.domains[${index}]`, `found "${domain.slice(0, 100)}", allowed a name, *.suffix or *`)
    })
    const scope = {
      place,
      retryPolicy: host.retry_policy,
      levels: [
        [host, `${where}.`],
        [message, path],
      ] as const,
    }
    const http = (host.routes ?? []).map((route, index) => readRoute(route, `${where}.routes[${index}]`, scope, faults))
    return { name: host.name ?? '', domains, http }
  })
}
