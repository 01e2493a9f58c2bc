/** Compiles a virtual host once per change, so that a request only asks: which route, which filters, where to. */
import type { HttpMatchSpec, HttpRouteSpec, VirtualHostSpec } from '../../../contracts/route-spec.ts'
import { corsFilters } from './cors.ts'
import { compileDestination } from './destination.ts'
import { faultFilters } from './fault.ts'
import { compileHeaderEdits } from './header-edits.ts'
import { compileHttpMatch } from './http-match.ts'
import { actionFilter } from './local-reply.ts'
import { compileMirrors } from './mirror.ts'
import { RateLimiter } from './rate-limit.ts'
import { compileRetry } from './retry-policy.ts'
import { compilePathRewrite } from './rewrite.ts'
import type { RouteIds } from './route-ids.ts'
import { routeTable } from './route-table.ts'
import type { TableEntry } from './route-table.ts'
import { compileTcpRoute } from './tcp-route.ts'
import type { Filter, FilterCounts, RequestView, ResponseFilter, Route, VirtualHost } from './types.ts'

export interface CompileOptions {
  readonly ids: RouteIds
  /** Monotonic ms. */
  readonly now: number
  /** This worker's part of every local rate limit: 1 / number of workers. */
  readonly limitShare: number
  readonly counts: FilterCounts
  /** The virtual host that this one replaces: its token buckets go on. */
  readonly former?: VirtualHost | undefined
  /** See `VirtualHost.isOwn`. */
  readonly isOwn?: boolean
}

export function compileVirtualHost(spec: VirtualHostSpec, options: CompileOptions): VirtualHost {
  const limiters = new Map(allLimiters(options.former).map((limiter) => [limiter.id, limiter]))
  const entries = spec.http.flatMap((route) => compileRoute(spec, route, options, limiters))
  const host: VirtualHost = {
    name: spec.name,
    spec,
    routes: [...new Set(entries.map((entry) => entry.route))],
    tcpRoutes: spec.tcp.map((route) => compileTcpRoute(route, options.ids.take(spec.name, route.name))),
    table: routeTable(entries),
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
export function matchRoute(host: VirtualHost, view: RequestView): Route | undefined {
  return host.table.find(view)
}

/** The limiters of a virtual host, each once. */
export function allLimiters(host: VirtualHost | undefined): RateLimiter[] {
  const limiters = new Set<RateLimiter>()
  for (const route of host?.routes ?? []) {
    for (const filter of route.filters) if (filter instanceof RateLimiter) limiters.add(filter)
  }
  return [...limiters]
}

function compileRoute(
  host: VirtualHostSpec,
  spec: HttpRouteSpec,
  options: CompileOptions,
  limiters: ReadonlyMap<string, RateLimiter>,
): TableEntry[] {
  const cors = spec.cors === undefined ? undefined : corsFilters(spec.cors, options.counts)
  const action = actionFilter(spec.action, options.counts, compileHeaderEdits(spec.responseHeaders))
  const filters: Filter[] = [
    ...(cors === undefined ? [] : [cors.request]),
    ...faultFilters(spec.fault, spec.origin, options.counts),
    ...rateLimiters(host, spec, options, limiters),
    ...(action === undefined ? [] : [action]),
  ]
  const responseFilters: ResponseFilter[] = cors === undefined ? [] : [cors.response]
  const requestEdits = compileHeaderEdits(spec.requestHeaders)
  const responseEdits = compileHeaderEdits(spec.responseHeaders)
  const destinations = spec.action.kind === 'forward' ? spec.action.destinations : []
  const shared: Omit<Route, 'rewritePath'> = {
    id: options.ids.take(host.name, spec.name),
    spec,
    destinations: destinations.map((one) => compileDestination(one, requestEdits, responseEdits)),
    filters,
    responseFilters,
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

function rateLimiters(
  host: VirtualHostSpec,
  route: HttpRouteSpec,
  options: CompileOptions,
  former: ReadonlyMap<string, RateLimiter>,
): RateLimiter[] {
  return (route.rateLimits ?? []).map((limit) => {
    const id = `${host.name}\n${route.name}\n${limit.name}`
    const known = former.get(id)
    if (known === undefined) return new RateLimiter(id, limit, options.limitShare, options.counts)
    known.update(limit, options.limitShare, options.now)
    return known
  })
}

function releaseVanished({ former, ids }: CompileOptions, host: VirtualHost): void {
  if (former === undefined) return
  const names = new Set([...host.spec.http, ...host.spec.tcp].map((route) => route.name))
  for (const route of [...former.spec.http, ...former.spec.tcp]) {
    if (former.name !== host.name || !names.has(route.name)) ids.release(former.name, route.name)
  }
}
