/** What a route does with a request: forward it by weight, or answer it. */
import type { Plain } from '../../../contracts/envoy-api/message-form.ts'
import type {
  DestinationSpec,
  HttpActionSpec,
  HttpMatchSpec,
  HttpRouteSpec,
  RewriteSpec,
} from '../../../contracts/route-spec.ts'
import type { TrafficPolicySpec } from '../../../contracts/policy-spec.ts'
import type { ClusterRef, Flavour } from './cluster-name.ts'
import { headerEdits, option } from './header-edits.ts'
import { hashPolicy } from './load-balancer.ts'
import { fraction, given, type LeftOut } from './translation.ts'

export interface ActionDeps {
  readonly flavour: Flavour
  policyOf(ref: ClusterRef): TrafficPolicySpec
  /** Each cluster to which a route leads. */
  use(ref: ClusterRef): string
  readonly leftOut: LeftOut
}

type Forward = Extract<HttpActionSpec, { kind: 'forward' }>

const httpPort = 80

/** A caller that names no port gets that one; the port that it names decides nothing there. */
function refOf({ service, subset, port, ports = [], hasOnlyPorts }: DestinationSpec, deps: ActionDeps): ClusterRef {
  const usual = port ?? (hasOnlyPorts === true ? (ports.includes(httpPort) ? httpPort : ports[0]) : undefined)
  if (port === undefined && ports.length > 1) deps.leftOut.add('the port that a caller names: one port is used')
  return { flavour: deps.flavour, service, subset, port: usual }
}

/** Everything but its retries. */
export function routeAction(
  route: HttpRouteSpec,
  { destinations }: Forward,
  match: HttpMatchSpec | undefined,
  deps: ActionDeps,
): { readonly action: Plain; readonly hashes: boolean } {
  const refs = destinations.map((one) => refOf(one, deps))
  const isPlain = (one: DestinationSpec): boolean =>
    one.authority === undefined && one.requestHeaders === undefined && one.responseHeaders === undefined
  const hash = hashPolicy(deps.policyOf(refs[0]!))
  const { timeoutMs, rewrite, mirrors = [] } = route
  const target =
    destinations.length === 1 && isPlain(destinations[0]!)
      ? { cluster: deps.use(refs[0]!) }
      : { weighted_clusters: { clusters: destinations.map((one, at) => weighted(one, deps.use(refs[at]!))) } }
  const timeout =
    deps.flavour === 'outbound'
      ? { timeout: timeoutMs }
      : timeoutMs === 0
        ? {}
        : { max_stream_duration: { max_stream_duration: timeoutMs } }
  if (deps.flavour === 'grpc' && (rewrite !== undefined || mirrors.length > 0))
    deps.leftOut.add('rewrites and mirrors: clients of gRPC do neither')
  const onlyProxy =
    deps.flavour === 'grpc'
      ? {}
      : {
          ...pathRewrite(rewrite, match),
          ...(rewrite?.authority === undefined ? {} : { host_rewrite_literal: rewrite.authority }),
          ...(mirrors.length === 0
            ? {}
            : {
                request_mirror_policies: mirrors.map(({ destination, share }) => ({
                  cluster: deps.use(refOf(destination, deps)),
                  runtime_fraction: { default_value: fraction(share) },
                  disable_shadow_host_suffix_append: true,
                })),
              }),
        }
  return { action: given({ ...target, ...timeout, ...onlyProxy, hash_policy: hash }), hashes: hash !== undefined }
}

function weighted(one: DestinationSpec, cluster: string): Plain {
  return given({
    name: cluster,
    weight: one.weight,
    ...headerEdits(one.requestHeaders, one.responseHeaders),
    host_rewrite_literal: one.authority,
  })
}

function pathRewrite(rewrite: RewriteSpec | undefined, match: HttpMatchSpec | undefined): Plain {
  if (rewrite?.uriRegex !== undefined) {
    const { match: regex, rewrite: substitution } = rewrite.uriRegex
    return { regex_rewrite: { pattern: { regex }, substitution } }
  }
  if (rewrite?.uri === undefined) return {}
  if (match?.uri === undefined || 'prefix' in match.uri || 'exact' in match.uri) return { prefix_rewrite: rewrite.uri }
  return { regex_rewrite: { pattern: { regex: '^.*$' }, substitution: rewrite.uri.replaceAll('\\', '\\\\') } }
}

const redirectCodes: Readonly<Record<number, string>> = {
  301: 'MOVED_PERMANENTLY',
  302: 'FOUND',
  303: 'SEE_OTHER',
  307: 'TEMPORARY_REDIRECT',
  308: 'PERMANENT_REDIRECT',
}

/** For a proxy; a client of gRPC takes no answers of a route. */
export function ownAnswer(action: Exclude<HttpActionSpec, Forward>, leftOut: LeftOut): Plain {
  if (action.kind === 'direct') return directAnswer(action)
  const code = redirectCodes[action.status]
  if (code === undefined) {
    leftOut.add(`redirect with ${action.status}: answered with 501`)
    return refusal
  }
  return {
    redirect: given({
      response_code: code,
      path_redirect: action.uri,
      host_redirect: action.authority,
      scheme_redirect: action.scheme,
      port_redirect: typeof action.port === 'number' ? action.port : undefined,
    }),
  }
}

function directAnswer(action: Extract<HttpActionSpec, { kind: 'direct' }>): Plain {
  const body =
    action.bodyIsBase64 === true ? { inline_bytes: Buffer.from(action.body, 'base64') } : { inline_string: action.body }
  return given({
    direct_response: given({ status: action.status, body: action.body === '' ? undefined : body }),
    response_headers_to_add:
      action.contentType === ''
        ? undefined
        : [option('content-type', action.contentType, 'OVERWRITE_IF_EXISTS_OR_ADD')],
  })
}

/** Where a rule guards in words that Envoy has not: nobody is let through. */
export const refusal: Plain = {
  direct_response: { status: 501, body: { inline_string: 'a rule guards this route that this proxy cannot apply' } },
}
