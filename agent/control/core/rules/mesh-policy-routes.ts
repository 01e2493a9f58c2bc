/** What MeshPolicies add to routes: rate limits and hedging. */
import type { HedgeSpec, HttpRouteSpec, RateLimitSpec } from '../../../../contracts/route-spec.ts'
import type { ResourceOf } from './rule-resource.ts'

type MeshPolicy = ResourceOf<'MeshPolicy'>
type Side = 'Outbound' | 'Inbound'

/** Limits of all policies apply, each with buckets of its own; the first policy that hedges a route decides how. */
export function withMeshPolicies(
  route: HttpRouteSpec,
  policies: readonly MeshPolicy[],
  side: Side = 'Outbound',
): HttpRouteSpec {
  if (route.action.kind !== 'forward' && side === 'Outbound' && policies.length === 0) return route
  const rateLimits = policies.flatMap((policy) => limitsOf(policy, route.name, side))
  const hedge = side === 'Outbound' && route.action.kind === 'forward' ? hedgeOf(policies, route.name) : undefined
  return {
    ...route,
    ...(rateLimits.length === 0 ? {} : { rateLimits }),
    ...(hedge === undefined ? {} : { hedge }),
  }
}

function limitsOf(policy: MeshPolicy, route: string, side: Side): RateLimitSpec[] {
  return (policy.spec.rateLimits ?? []).flatMap((limit, index) => {
    if ((limit.side ?? 'Outbound') !== side || limit.routes?.includes(route) === false) return []
    return {
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

function hedgeOf(policies: readonly MeshPolicy[], route: string): HedgeSpec | undefined {
  for (const policy of policies) {
    const hedging = policy.spec.hedging?.find((one) => one.routes?.includes(route) !== false)
    if (hedging !== undefined) return { afterMs: hedging.after, maxExtra: hedging.maxExtra ?? 1 }
  }
  return undefined
}
