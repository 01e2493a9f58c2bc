/** What MeshPolicies add to routes: rate limits, filters of users, hedging, and which requests may be repeated. */
import type {
  ConnectionFilterSpec,
  FilterSpec,
  HedgeSpec,
  HttpRouteSpec,
  TcpRouteSpec,
} from '../../../../contracts/route-spec.ts'
import { filterField } from './filter-order.ts'
import { globalLimitsOf } from './global-rate-limits.ts'
import { isStrict } from './guards.ts'
import type { HostScope, UserFilters } from './rule-host.ts'
import type { ResourceOf } from './rule-resource.ts'

type MeshPolicy = ResourceOf<'MeshPolicy'>
type UserFilterEntry = Extract<FilterSpec, { readonly kind: 'user' }>
type Side = 'Outbound' | 'Inbound'

/**
 * Limits of all policies apply, each with buckets of its own; the first policy that hedges a route decides how; one
 * that allows repeats of everything is enough.
 */
export function withMeshPolicies(
  route: HttpRouteSpec,
  policies: readonly MeshPolicy[],
  { rateLimitServices, userFilters }: Pick<HostScope, 'rateLimitServices' | 'userFilters'>,
  side: Side = 'Outbound',
): HttpRouteSpec {
  if (route.action.kind !== 'forward' && side === 'Outbound' && policies.length === 0) return route
  const limits = policies.flatMap((policy) => limitsOf(policy, route.name, side))
  const shared = policies.flatMap((policy) => globalLimitsOf(policy, route.name, rateLimitServices, side))
  const isForwarded = side === 'Outbound' && route.action.kind === 'forward'
  const hedge = isForwarded ? hedgeOf(policies, route.name) : undefined
  const { retry } = route
  const repeatsAll = isForwarded && retry !== undefined && mayRepeatAll(policies, route.name)
  return {
    ...route,
    ...(repeatsAll ? { retry: { ...retry, all: true } } : {}),
    ...filterField([
      ...(route.filters ?? []),
      ...limits,
      ...shared,
      ...userFiltersOf(policies, route.name, userFilters, side),
    ]),
    ...(hedge === undefined ? {} : { hedge }),
  }
}

/** Limits count connections there; nothing else of a policy concerns a raw connection. */
export function withConnectionLimits(
  route: TcpRouteSpec,
  policies: readonly MeshPolicy[],
  side: Side = 'Outbound',
): TcpRouteSpec {
  return { ...route, ...filterField(policies.flatMap((policy) => limitsOf(policy, route.name, side))) }
}

function limitsOf(policy: MeshPolicy, route: string, side: Side): ConnectionFilterSpec[] {
  return (policy.spec.rateLimits ?? []).flatMap((limit, index) => {
    if ((limit.side ?? 'Outbound') !== side || limit.routes?.includes(route) === false) return []
    return {
      kind: 'rate-limit',
      name: `${policy.namespace}/${policy.name}/${limit.name}`,
      maxTokens: limit.maxTokens,
      tokensPerFill: limit.tokensPerFill ?? limit.maxTokens,
      fillIntervalMs: limit.fillInterval,
      per: limit.per === 'SourceApp' ? 'source-app' : 'route',
      ...(side === 'Inbound' && limit.per === 'SourceApp' ? { bySourceHeader: true } : {}),
      status: limit.status ?? 429,
      origin: policy.origin(`spec.rateLimits[${index}]`),
    }
  })
}

/** Each once, at its first place: of several policies the first comes first. */
function userFiltersOf(
  policies: readonly MeshPolicy[],
  route: string,
  userFilters: UserFilters,
  side: Side,
): UserFilterEntry[] {
  const strict = (name: string): { isStrict?: true } => (isStrict(userFilters.get(name)) ? { isStrict: true } : {})
  const entries = policies.flatMap((policy) =>
    (policy.spec.filters ?? []).flatMap(({ name, routes, side: on = 'Outbound' }, index): UserFilterEntry[] =>
      on !== side || routes?.includes(route) === false
        ? []
        : [{ kind: 'user', name, ...strict(name), origin: policy.origin(`spec.filters[${index}]`) }],
    ),
  )
  return entries.filter(({ name }, at) => entries.findIndex((one) => one.name === name) === at)
}

function hedgeOf(policies: readonly MeshPolicy[], route: string): HedgeSpec | undefined {
  for (const policy of policies) {
    const hedging = policy.spec.hedging?.find((one) => one.routes?.includes(route) !== false)
    if (hedging === undefined) continue
    const all = hedging.requests === 'All' ? { all: true } : {}
    return { afterMs: hedging.after, maxExtra: hedging.maxExtra ?? 1, ...all }
  }
  return undefined
}

function mayRepeatAll(policies: readonly MeshPolicy[], route: string): boolean {
  return policies.some(({ spec }) => spec.retries?.some(({ routes }) => routes?.includes(route) !== false))
}
