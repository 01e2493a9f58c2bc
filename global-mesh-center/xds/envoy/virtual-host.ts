/** RDS: the routes of one service as a virtual host, and the clusters to which they lead. */
import { noPort } from '../../../contracts/endpoint-labels.ts'
import type { ServiceKey } from '../../../contracts/endpoint.ts'
import type { Plain } from '../../../contracts/envoy-api/message-form.ts'
import type { TrafficPolicySpec } from '../../../contracts/policy-spec.ts'
import type { HttpMatchSpec, HttpRouteSpec, VirtualHostSpec } from '../../../contracts/route-spec.ts'
import { clusterName, type ClusterRef, type Flavour } from './cluster-name.ts'
import { headerEdits } from './header-edits.ts'
import { idempotentMethod, retryPolicies } from './retry-policy.ts'
import { ownAnswer, refusal, routeAction, type ActionDeps } from './route-action.ts'
import { routeFilters } from './route-filters.ts'
import { everyRequest, routeMatch } from './route-match.ts'
import { given, LeftOut, type Translation } from './translation.ts'

export const virtualHostMessage = 'envoy.config.route.v3.VirtualHost'

export interface VirtualHostTranslation extends Translation {
  readonly clusters: readonly ClusterRef[]
}

export function virtualHost(
  spec: VirtualHostSpec,
  domains: readonly string[],
  flavour: Flavour,
  policyOf: (ref: ClusterRef) => TrafficPolicySpec,
): VirtualHostTranslation {
  const leftOut = new LeftOut()
  const clusters = new Map<string, ClusterRef>()
  const use = (ref: ClusterRef): string => {
    const name = clusterName(ref)
    clusters.set(name, ref)
    return name
  }
  const isGuarded = spec.authorization !== undefined || spec.authentication !== undefined
  if (isGuarded) leftOut.add('policies about tokens and callers: every request is refused')
  const deps = { flavour, policyOf, use, leftOut, service: spec.name as ServiceKey }
  const routes = spec.http.flatMap((route) => routesOf(route, isGuarded, deps))
  return { message: { name: spec.name, domains, routes }, leftOut: leftOut.list(), clusters: [...clusters.values()] }
}

interface HostDeps extends ActionDeps {
  /** Whose virtual host it is. */
  readonly service: ServiceKey
}

/** Each condition is a route of its own, as rewrites depend on it. */
function routesOf(route: HttpRouteSpec, isGuarded: boolean, deps: HostDeps): Plain[] {
  const matches: readonly (HttpMatchSpec | undefined)[] = route.matches.length === 0 ? [undefined] : route.matches
  return matches.flatMap((match) => {
    const condition = match === undefined ? everyRequest : routeMatch(match, deps.flavour, deps.leftOut)
    return condition === undefined ? [] : variants(route, match, condition, isGuarded, deps)
  })
}

function variants(
  route: HttpRouteSpec,
  match: HttpMatchSpec | undefined,
  condition: Plain,
  isGuarded: boolean,
  deps: HostDeps,
): Plain[] {
  const { flavour, leftOut } = deps
  const { config, refuses } = routeFilters(route.filters ?? [], flavour, leftOut)
  const base = { name: route.name, match: condition }
  if (isGuarded || refuses) return [{ ...base, ...answer(refusal, deps) }]
  if (route.hedge !== undefined) leftOut.add('hedging')
  const edits = flavour === 'grpc' ? {} : headerEdits(route.requestHeaders, route.responseHeaders)
  if (flavour === 'grpc' && (route.requestHeaders ?? route.responseHeaders) !== undefined)
    leftOut.add('edits of headers: clients of gRPC make none')
  const common = given({ ...base, ...edits, typed_per_filter_config: config })
  if (route.action.kind !== 'forward') {
    const own = ownAnswer(route.action, leftOut)
    if (flavour === 'grpc') leftOut.add(`${route.action.kind}: calls of gRPC are refused`)
    return [withAdded(common, answer(own, deps))]
  }
  const { action, hashes } = routeAction(route, route.action, match, deps)
  const { idempotent, other } = retryPolicies(route.retry, hashes, flavour, leftOut)
  const withRetries = (policy: Plain | undefined, more: Plain = {}): Plain => ({
    ...common,
    ...more,
    route: given({ ...action, retry_policy: policy }),
  })
  if (idempotent === other) return [withRetries(other)]
  const headers = (condition['headers'] ?? []) as readonly Plain[]
  return [
    withRetries(idempotent, { match: { ...condition, headers: [...headers, idempotentMethod] } }),
    withRetries(other),
  ]
}

/**
 * A client of gRPC takes no answers of routes: some refuse all routes with one, and @grpc/grpc-js-xds 1.14 ends its
 * process at a route without a cluster. Such a route leads to a destination that has no endpoints.
 */
function answer(own: Plain, deps: HostDeps): Plain {
  if (deps.flavour !== 'grpc') return own
  return { route: { cluster: deps.use({ flavour: 'grpc', service: deps.service, subset: undefined, port: noPort }) } }
}

/** Both may add fields to the response. */
function withAdded(route: Plain, own: Plain): Plain {
  const field = 'response_headers_to_add'
  const added = [...((route[field] ?? []) as Plain[]), ...((own[field] ?? []) as Plain[])]
  return { ...route, ...own, ...(added.length === 0 ? {} : { [field]: added }) }
}
