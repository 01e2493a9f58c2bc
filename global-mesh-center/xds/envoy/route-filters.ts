/** Filters of a route as configuration of Envoy's HTTP filters, which the listener has in `httpFilters`. */
import type { Plain } from '../../../contracts/envoy-api/message-form.ts'
import type { CorsSpec, FilterSpec } from '../../../contracts/route-spec.ts'
import type { Flavour } from './cluster-name.ts'
import { stringMatch } from './route-match.ts'
import { fraction, given, type LeftOut } from './translation.ts'

const faultFilter = 'envoy.filters.http.fault'
const corsFilter = 'envoy.filters.http.cors'
const router = {
  name: 'envoy.filters.http.router',
  typed_config: { '@type': 'envoy.extensions.filters.http.router.v3.Router' },
}
const fault = { name: faultFilter, typed_config: { '@type': 'envoy.extensions.filters.http.fault.v3.HTTPFault' } }
const cors = { name: corsFilter, typed_config: { '@type': 'envoy.extensions.filters.http.cors.v3.Cors' } }

export const httpFilters: Readonly<Record<Flavour, readonly Plain[]>> = {
  outbound: [cors, fault, router],
  grpc: [fault, router],
}

/** `refuses`: a filter that guards cannot be said, so that nothing may pass. */
export function routeFilters(
  filters: readonly FilterSpec[],
  flavour: Flavour,
  leftOut: LeftOut,
): { readonly config: Plain | undefined; readonly refuses: boolean } {
  const config: Record<string, unknown> = {}
  const faults: Record<string, unknown> = {}
  let refuses = false
  for (const filter of filters) {
    switch (filter.kind) {
      case 'fault-delay':
        faults['delay'] = { fixed_delay: filter.fixedMs, percentage: fraction(filter.share) }
        break
      case 'fault-abort':
        faults['abort'] = { http_status: filter.status, percentage: fraction(filter.share) }
        break
      case 'cors':
        if (flavour === 'outbound') config[corsFilter] = corsPolicy(filter)
        else leftOut.add('corsPolicy')
        break
      case 'rate-limit':
      case 'global-rate-limit':
        leftOut.add(`rate limit ${filter.name}`)
        break
      case 'user':
        leftOut.add(`filter ${filter.name}: every request is refused`)
        refuses = true
        break
      case 'jwt':
      case 'authorization':
      case 'ext-authz':
        leftOut.add(`${filter.kind}: every request is refused`)
        refuses = true
    }
  }
  if (Object.keys(faults).length > 0)
    config[faultFilter] = { '@type': 'envoy.extensions.filters.http.fault.v3.HTTPFault', ...faults }
  return { config: Object.keys(config).length === 0 ? undefined : config, refuses }
}

function corsPolicy(spec: CorsSpec): Plain {
  const list = (words: readonly string[]): string | undefined => (words.length === 0 ? undefined : words.join(','))
  return given({
    '@type': 'envoy.extensions.filters.http.cors.v3.CorsPolicy',
    allow_origin_string_match: spec.allowOrigins.map(stringMatch),
    allow_methods: list(spec.allowMethods),
    allow_headers: list(spec.allowHeaders),
    expose_headers: list(spec.exposeHeaders),
    max_age: spec.maxAgeMs === undefined ? undefined : String(Math.round(spec.maxAgeMs / 1000)),
    allow_credentials: spec.allowCredentials,
    forward_not_matching_preflights: spec.forwardUnmatchedPreflights,
  })
}
