/** Routes for raw connections: decided once per connection, by port, networks, caller and the server name of TLS. */
import type { TcpMatchSpec, TcpRouteSpec } from '../../../contracts/route-spec.ts'
import type { ConnectionFilter, RouteFilter } from '../filters/filter.ts'
import { compileDestination } from './destination.ts'
import { sourceLabel } from './http-match.ts'
import { subnetSet } from '../../../contracts/subnet.ts'
import type { ConnectionView, TcpCondition, TcpRoute, VirtualHost } from './types.ts'

/** A list of conditions per match of the rule; any list that holds is enough, and no list at all takes everything. */
export function compileTcpRoute(
  spec: TcpRouteSpec,
  id: number,
  filters: readonly RouteFilter<ConnectionFilter>[],
): TcpRoute {
  return {
    id,
    spec,
    filters,
    destinations: spec.destinations.map((one) => compileDestination(one)),
    matches: spec.matches.map(conditionsOf),
  }
}

/** First matching route, or undefined: the connection is closed with E_ROUTE_NONE. */
export function matchTcpRoute(host: VirtualHost, view: ConnectionView): TcpRoute | undefined {
  return host.tcpRoutes.find((route) => tcpRouteMatches(route, view))
}

export function tcpRouteMatches(route: TcpRoute, view: ConnectionView): boolean {
  if (route.matches.length === 0) return true
  return route.matches.some((conditions) => conditions.every((condition) => condition.test(view)))
}

function conditionsOf(spec: TcpMatchSpec): TcpCondition[] {
  const conditions: TcpCondition[] = []
  if (spec.port !== undefined) {
    const port = spec.port
    conditions.push({
      test: (view) => view.localPort === port,
      describeMiss: (view) => `port is ${view.localPort}, wanted ${port}`,
    })
  }
  if (spec.sourceNamespace !== undefined) {
    const namespace = spec.sourceNamespace
    conditions.push({
      test: (view) => view.source?.namespace === namespace,
      describeMiss: (view) => `namespace of the caller is ${view.source?.namespace ?? 'unknown'}, wanted ${namespace}`,
    })
  }
  for (const [label, value] of Object.entries(spec.sourceLabels ?? {})) {
    conditions.push({
      test: (view) => sourceLabel(view, label) === value,
      describeMiss: (view) =>
        `label ${label} of the caller is ${sourceLabel(view, label) ?? 'unknown'}, wanted ${value}`,
    })
  }
  if (spec.sourceSubnets !== undefined) {
    conditions.push(subnetCondition('source', spec.sourceSubnets, (view) => view.sourceAddress))
  }
  if (spec.destinationSubnets !== undefined) {
    conditions.push(subnetCondition('destination', spec.destinationSubnets, (view) => view.localAddress))
  }
  if (spec.sniHosts !== undefined) conditions.push(serverNameCondition(spec.sniHosts))
  return conditions
}

function serverNameCondition(names: readonly string[]): TcpCondition {
  const exact = new Set(names)
  const suffixes = names.filter((name) => name.startsWith('*.')).map((name) => name.slice(1))
  return {
    test: ({ serverName }) =>
      serverName !== '' &&
      (exact.has(serverName) || exact.has('*') || suffixes.some((suffix) => serverName.endsWith(suffix))),
    describeMiss: ({ serverName }) => `server name is ${serverName || 'not said'}, wanted one of ${names.join(', ')}`,
  }
}

function subnetCondition(
  what: string,
  networks: readonly string[],
  read: (view: ConnectionView) => string,
): TcpCondition {
  const set = subnetSet(networks)
  return {
    test: (view) => set.has(read(view)),
    describeMiss: (view) => `${what} address is ${read(view)}, wanted one of ${networks.join(', ')}`,
  }
}
