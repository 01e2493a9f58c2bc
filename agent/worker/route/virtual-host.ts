/** Compiles a virtual host once per change, so that a request only asks: which route, which filters, where to. */
import type { HttpMatchSpec, HttpRouteSpec, VirtualHostSpec } from '../../../contracts/route-spec.ts'
import { hasReply, isStateful } from '../filters/filter.ts'
import type { FilterTable, RoutePlace, StatefulFilter } from '../filters/filter.ts'
import type { VerifiedToken } from './verified-token.ts'
import { compileDestination } from './destination.ts'
import { compileHeaderEdits } from './header-edits.ts'
import { compileHttpMatch } from './http-match.ts'
import { compileMirrors } from './mirror.ts'
import { compileRetry } from './retry-policy.ts'
import { compilePathRewrite } from './rewrite.ts'
import type { RouteIds } from './route-ids.ts'
import { routeTable } from './route-table.ts'
import type { TableEntry } from './route-table.ts'
import { compileTcpRoute } from './tcp-route.ts'
import type { HeaderEdits, RequestView, Route, VirtualHost } from './types.ts'

export interface CompileOptions {
  readonly ids: RouteIds
  /** Monotonic ms. */
  readonly now: number
  /** This worker's part of every local rate limit: 1 / number of workers. */
  readonly limitShare: number
  readonly filters: FilterTable
  /** The virtual host that this one replaces: its filters keep what they remember. */
  readonly former?: VirtualHost | undefined
  /** See `VirtualHost.isOwn`. */
  readonly isOwn?: boolean
}

export function compileVirtualHost(spec: VirtualHostSpec, options: CompileOptions): VirtualHost {
  const former = new Map(statefulFilters(options.former).map((filter) => [filter.stateId, filter]))
  const entries = spec.http.flatMap((route) => compileRoute(spec, route, options, former))
  const host: VirtualHost = {
    name: spec.name,
    spec,
    routes: [...new Set(entries.map((entry) => entry.route))],
    tcpRoutes: spec.tcp.map((route) => {
      const filters = options.filters.connectionFiltersOf(route, placeOf(spec, null, options, former))
      return compileTcpRoute(route, options.ids.take(spec.name, route.name), filters)
    }),
    asksServerName: spec.tcp.some(({ matches }) => matches.some(({ sniHosts }) => sniHosts !== undefined)),
    table: routeTable(entries),
    firstFilters:
      spec.verifiesFirst === true ? options.filters.firstFiltersOf(placeOf(spec, null, options, former)) : [],
    overrides: spec.overrides ?? null,
    isOwn: options.isOwn ?? false,
  }
  releaseVanished(options, host)
  return host
}

/** Gives the numbers of a removed virtual host's routes back. */
export function releaseVirtualHost(host: VirtualHost, ids: RouteIds): void {
  for (const route of [...host.spec.http, ...host.spec.tcp]) ids.release(host.name, route.name)
}

/** First matching route; undefined means 404 with E_ROUTE_NONE. */
export function matchRoute(
  host: VirtualHost,
  view: RequestView,
  token: VerifiedToken | null = null,
): Route | undefined {
  return host.table.find(view, token)
}

/** The filters of a virtual host that have a state, each once. */
export function statefulFilters(host: VirtualHost | undefined): StatefulFilter[] {
  const found = new Set<StatefulFilter>()
  for (const route of [...(host?.routes ?? []), ...(host?.tcpRoutes ?? [])]) {
    for (const { filter } of route.filters) if (isStateful(filter)) found.add(filter)
  }
  return [...found]
}

function compileRoute(
  host: VirtualHostSpec,
  spec: HttpRouteSpec,
  options: CompileOptions,
  former: ReadonlyMap<string, StatefulFilter>,
): TableEntry[] {
  const requestEdits = compileHeaderEdits(spec.requestHeaders)
  const responseEdits = compileHeaderEdits(spec.responseHeaders)
  const filters = options.filters.filtersOf(spec, placeOf(host, responseEdits, options, former))
  const destinations = spec.action.kind === 'forward' ? spec.action.destinations : []
  const shared: Omit<Route, 'rewritePath'> = {
    id: options.ids.take(host.name, spec.name),
    spec,
    destinations: destinations.map((one) => compileDestination(one, requestEdits, responseEdits)),
    filters,
    replyFilters: filters.map(({ filter }) => filter).filter(hasReply),
    requestEdits,
    responseEdits,
    rewriteAuthority: spec.rewrite?.authority ?? null,
    retry: compileRetry(spec.retry),
    mirrors: compileMirrors(spec.mirrors),
  }
  const routeFor = routesByMatch(shared, spec)
  if (spec.matches.length === 0) return [{ match: undefined, route: routeFor(undefined) }]
  return spec.matches.map((match, index) => ({ match: compileHttpMatch(match, index), route: routeFor(match) }))
}

function placeOf(
  { authentication, authorization, name }: VirtualHostSpec,
  responseEdits: HeaderEdits | null,
  { isOwn, limitShare, now }: CompileOptions,
  former: ReadonlyMap<string, StatefulFilter>,
): RoutePlace {
  return {
    host: name,
    authentication,
    authorization,
    responseEdits,
    now,
    limitShare,
    isCounted: isOwn !== true,
    former,
  }
}

/** One Route for all matches unless what a rewrite does depends on the match. */
function routesByMatch(
  shared: Omit<Route, 'rewritePath'>,
  spec: HttpRouteSpec,
): (match: HttpMatchSpec | undefined) => Route {
  if (spec.rewrite?.uri === undefined) {
    const route: Route = { ...shared, rewritePath: compilePathRewrite(spec.rewrite, undefined) }
    return () => route
  }
  return (match) => ({ ...shared, rewritePath: compilePathRewrite(spec.rewrite, match) })
}

function releaseVanished({ former, ids }: CompileOptions, host: VirtualHost): void {
  if (former === undefined) return
  const names = new Set([...host.spec.http, ...host.spec.tcp].map((route) => route.name))
  for (const route of [...former.spec.http, ...former.spec.tcp]) {
    if (former.name !== host.name || !names.has(route.name)) ids.release(former.name, route.name)
  }
}
