/**
 * A route that delegates to another VirtualService (Istio's `delegate`): the routes of the delegate, each under the
 * conditions of both. What the delegate leaves out it takes from the route that delegates. A condition of the delegate
 * must lie inside the one above it; a route whose conditions contradict is left out.
 */
import type { StringMatchSpec } from '../../../../contracts/route-spec.ts'
import type { HttpRouteShape } from './virtual-service-shape.ts'
import type { RouteSource } from './virtual-service.ts'

type Match = NonNullable<HttpRouteShape['match']>[number]
type Matches = HttpRouteShape['match']

export function delegatedRoutes(above: HttpRouteShape, name: string, below: readonly RouteSource[]): RouteSource[] {
  return below.flatMap((source) => {
    const match = mergeMatches(above.match, source.route.match)
    if (match === 'contradiction') return []
    return {
      ...source,
      name: `${name}-${source.name}`,
      route: { ...inherited(above, source.route), ...source.route, match },
    }
  })
}

/**
 * What a route hands down; of what concerns forwarding nothing to a route that does not forward, and of mirrors all or
 * none.
 */
function inherited(above: HttpRouteShape, below: HttpRouteShape): Omit<HttpRouteShape, 'match'> {
  const { fault, corsPolicy, headers, rewrite, timeout, retries, mirror, mirrors } = above
  const { mirrorPercentage, mirrorPercent, mirror_percent } = above
  const forwarding = below.route === undefined ? {} : { rewrite, timeout, retries }
  const hasMirrors = below.mirror !== undefined || below.mirrors !== undefined || below.route === undefined
  const mirroring = hasMirrors ? {} : { mirror, mirrors, mirrorPercentage, mirrorPercent, mirror_percent }
  const fields = { fault, corsPolicy, headers, ...forwarding, ...mirroring }
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

function mergeMatches(above: Matches, below: Matches): Matches | 'contradiction' {
  if (above === undefined || above.length === 0) return below
  if (below === undefined || below.length === 0) return above
  const merged = below.flatMap((inner) =>
    above.filter((outer) => !contradicts(outer, inner)).map((outer) => mergeMatch(outer, inner)),
  )
  return merged.length === 0 ? 'contradiction' : merged
}

function mergeMatch(outer: Match, inner: Match): Match {
  const maps = (['headers', 'withoutHeaders', 'queryParams', 'sourceLabels'] as const).flatMap((key) => {
    const both = { ...outer[key], ...inner[key] }
    return Object.keys(both).length === 0 ? [] : [[key, both] as const]
  })
  return { ...outer, ...inner, ...Object.fromEntries(maps) }
}

function contradicts(outer: Match, inner: Match): boolean {
  for (const key of ['uri', 'scheme', 'method', 'authority'] as const) {
    if (isOutside(outer[key], inner[key])) return true
  }
  for (const key of ['headers', 'withoutHeaders', 'queryParams'] as const) {
    for (const [name, condition] of Object.entries(outer[key] ?? {})) {
      const other = inner[key]?.[name]
      if ('present' in condition || other === undefined || 'present' in other) continue
      if (isOutside(condition, other)) return true
    }
  }
  for (const key of ['port', 'sourceNamespace'] as const) {
    if (outer[key] !== undefined && inner[key] !== undefined && outer[key] !== inner[key]) return true
  }
  return Object.entries(outer.sourceLabels ?? {}).some(
    ([name, value]) => inner.sourceLabels?.[name] !== undefined && inner.sourceLabels[name] !== value,
  )
}

/** Whether the inner condition may hold where the outer does not; with a regular expression nobody can say. */
function isOutside(outer: StringMatchSpec | undefined, inner: StringMatchSpec | undefined): boolean {
  if (outer === undefined || inner === undefined) return false
  if ('regex' in outer || 'regex' in inner) return true
  if ('exact' in outer) return !('exact' in inner) || inner.exact !== outer.exact
  return !('exact' in inner ? inner.exact : inner.prefix).startsWith(outer.prefix)
}
