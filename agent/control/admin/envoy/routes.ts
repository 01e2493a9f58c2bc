/**
 * Virtual hosts as `envoy.config.route.v3.RouteConfiguration`. Values of headers and queries are masked: they may be
 * secrets. What Envoy's routes cannot say is left out; `/config_dump?resource=virtualHosts` has it all.
 */
import type {
  ClaimMatchSpec,
  HttpMatchSpec,
  HttpRouteSpec,
  PresenceMatchSpec,
  StringMatchSpec,
  VirtualHostSpec,
} from '../../../../contracts/route-spec.ts'
import { clusterName, seconds, typed } from './words.ts'

const masked = '[masked]'

export function routeConfiguration(host: VirtualHostSpec): object {
  return typed('envoy.config.route.v3.RouteConfiguration', {
    name: host.name,
    virtual_hosts: [{ name: host.name, domains: host.domains, routes: host.http.flatMap(routesOf) }],
  })
}

/** One per match, as Istio compiles them. */
function routesOf(route: HttpRouteSpec): object[] {
  const matches: readonly HttpMatchSpec[] = route.matches.length === 0 ? [{}] : route.matches
  return matches.map((match) => ({
    ...(route.name === '' ? {} : { name: route.name }),
    match: routeMatch(match),
    ...actionOf(route),
  }))
}

function routeMatch(match: HttpMatchSpec): object {
  const headers = [
    ...(match.method === undefined ? [] : [{ name: ':method', string_match: stringMatch(match.method) }]),
    ...Object.entries(match.headers ?? {}).map(([name, one]) => headerMatch(name, one)),
    ...Object.entries(match.withoutHeaders ?? {}).map(([name, one]) => ({
      ...headerMatch(name, one),
      invert_match: true,
    })),
  ]
  const queries = Object.entries(match.queryParams ?? {}).map(([name, one]) => headerMatch(name, one))
  return {
    ...pathMatch(match.uri),
    ...(match.ignoreUriCase === true ? { case_sensitive: false } : {}),
    ...(headers.length === 0 ? {} : { headers }),
    ...(queries.length === 0 ? {} : { query_parameters: queries }),
    ...(match.claims === undefined ? {} : { dynamic_metadata: match.claims.map(claimMatch) }),
  }
}

/** As Istio writes it for Envoy: the claim itself, or one of its list. */
function claimMatch({ isAbsent, path, value }: ClaimMatchSpec): object {
  const text = 'present' in value ? undefined : { string_match: stringMatch(value) }
  const either = { or_match: { value_matchers: [text, { list_match: { one_of: text } }] } }
  return {
    filter: 'envoy.filters.http.jwt_authn',
    path: ['payload', ...path].map((key) => ({ key })),
    value: text === undefined ? { present_match: true } : either,
    ...(isAbsent === true ? { invert: true } : {}),
  }
}

function pathMatch(uri: StringMatchSpec | undefined): object {
  if (uri === undefined) return { prefix: '/' }
  if ('exact' in uri) return { path: uri.exact }
  return 'prefix' in uri ? { prefix: uri.prefix } : { safe_regex: { regex: uri.regex } }
}

function stringMatch(match: StringMatchSpec): object {
  return 'regex' in match ? { safe_regex: { regex: match.regex } } : match
}

function headerMatch(name: string, match: PresenceMatchSpec): object {
  if ('present' in match) return { name, present_match: true }
  const hidden =
    'exact' in match ? { exact: masked } : 'prefix' in match ? { prefix: masked } : { safe_regex: { regex: masked } }
  return { name, string_match: hidden }
}

function actionOf({ action, timeoutMs, retry }: HttpRouteSpec): object {
  switch (action.kind) {
    case 'direct':
      return { direct_response: { status: action.status } }
    case 'redirect':
      return {
        redirect: {
          ...(action.uri === undefined ? {} : { path_redirect: action.uri }),
          ...(action.authority === undefined ? {} : { host_redirect: action.authority }),
        },
      }
    case 'forward': {
      const clusters = action.destinations.map((one) => ({
        name: clusterName(one.service, one.subset, one.port === undefined ? '' : String(one.port)),
        weight: one.weight,
      }))
      return {
        route: {
          ...(clusters.length === 1 ? { cluster: clusters[0]!.name } : { weighted_clusters: { clusters } }),
          timeout: seconds(timeoutMs),
          ...(retry === undefined
            ? {}
            : {
                retry_policy: {
                  retry_on: retry.on.join(','),
                  num_retries: retry.attempts,
                  ...(retry.perTryTimeoutMs === 0 ? {} : { per_try_timeout: seconds(retry.perTryTimeoutMs) }),
                },
              }),
        },
      }
    }
  }
}
