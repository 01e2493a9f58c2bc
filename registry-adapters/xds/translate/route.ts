/** One route as an entry of `http` in a VirtualService. */
import { serviceOf, type Place } from '../names.ts'
import type { Faults } from '../wire/faults.ts'
import type {
  DirectResponseMessage,
  RedirectMessage,
  RetryPolicyMessage,
  RouteActionMessage,
  RouteMessage,
} from '../wire/route.ts'
import { headersOf, withHeaders, type WithHeaders } from './header-edits.ts'
import { matchesOf } from './matches.ts'

/** What holds for all routes around it. */
export interface RouteScope {
  readonly place: Place
  readonly retryPolicy: RetryPolicyMessage | undefined
  /** From the inside out. */
  readonly levels: readonly (readonly [WithHeaders, path: string])[]
}

/** Envoy's own, where a route says nothing, ms. */
const timeoutMs = 15_000
/** Values of `RedirectResponseCode`. */
const redirectCodes = [301, 302, 303, 307, 308]
/** Values of `DenominatorType`. */
const denominators = [100, 10_000, 1_000_000]

export function readRoute(route: RouteMessage, path: string, scope: RouteScope, faults: Faults): object {
  const match = matchesOf(route.match, `${path}.match`, faults)
  const { request, response } = headersOf([[route, `${path}.`], ...scope.levels], faults)
  const condition = match === undefined ? {} : { match }
  const answerEdits = response === undefined ? {} : { response }
  if (route.route !== undefined) {
    const edits = request === undefined ? answerEdits : { request, ...answerEdits }
    return { ...condition, ...withHeaders(edits), ...forwarded(route.route, `${path}.route`, scope, faults) }
  }
  // nothing is forwarded: headers of requests do not matter
  const own = { ...condition, ...withHeaders(answerEdits) }
  if (route.redirect !== undefined) return { ...own, redirect: redirected(route.redirect, `${path}.redirect`, faults) }
  if (route.direct_response !== undefined) return { ...own, directResponse: answered(route.direct_response) }
  faults.add(path, 'found no action, allowed route, redirect or direct_response')
  return own
}

function forwarded(action: RouteActionMessage, path: string, scope: RouteScope, faults: Faults): object {
  const destination = (cluster: string, where: string): { host: string } => {
    const host = serviceOf(cluster, scope.place)
    if (host === undefined) faults.add(where, `found "${cluster.slice(0, 100)}", which no service here can be called`)
    return { host: host ?? '' }
  }
  const shares = action.weighted_clusters?.clusters
  if (shares === undefined && action.cluster === undefined) faults.add(path, 'found no cluster')
  const route =
    shares === undefined
      ? [{ destination: destination(action.cluster ?? '', `${path}.cluster`) }]
      : shares.map((share, at) => {
          const where = `${path}.weighted_clusters.clusters[${at}]`
          return {
            destination: destination(share.name ?? '', `${where}.name`),
            weight: share.weight ?? 0,
            ...withHeaders(headersOf([[share, `${where}.`]], faults)),
          }
        })
  const mirrors = action.request_mirror_policies?.map(({ cluster = '', runtime_fraction: part }, at) => {
    const { denominator = 0, numerator = 0 } = part?.default_value ?? { numerator: 100 }
    return {
      destination: destination(cluster, `${path}.request_mirror_policies[${at}].cluster`),
      percentage: { value: (numerator / (denominators[denominator] ?? 100)) * 100 },
    }
  })
  const { host_rewrite_literal: authority, prefix_rewrite: uri, regex_rewrite: pattern } = action
  const rewrite = {
    ...(uri === undefined ? {} : { uri }),
    ...(authority === undefined ? {} : { authority }),
    ...(pattern === undefined
      ? {}
      : { uriRegexRewrite: { match: pattern.pattern?.regex ?? '', rewrite: pattern.substitution ?? '' } }),
  }
  return {
    route,
    timeout: `${action.timeout ?? timeoutMs}ms`,
    retries: retriesOf(action.retry_policy ?? scope.retryPolicy),
    ...(mirrors === undefined ? {} : { mirrors }),
    ...(Object.keys(rewrite).length === 0 ? {} : { rewrite }),
  }
}

/** A route that says nothing of it is not tried again. */
function retriesOf(policy: RetryPolicyMessage | undefined): object {
  if (policy === undefined) return { attempts: 0 }
  const { num_retries: attempts = 1, per_try_timeout: tryMs, retriable_status_codes: codes = [] } = policy
  const words = (policy.retry_on ?? '').split(',').flatMap((word) => word.trim() || [])
  // codes without their word count for nothing there
  const retryOn = [...words, ...(words.includes('retriable-status-codes') ? codes : [])].join(',')
  const pauseMs = policy.retry_back_off?.base_interval
  // without a condition Envoy tries nothing again
  if (retryOn === '') return { attempts: 0 }
  return {
    attempts,
    retryOn,
    ...(tryMs === undefined || tryMs === 0 ? {} : { perTryTimeout: `${tryMs}ms` }),
    ...(pauseMs === undefined || pauseMs === 0 ? {} : { backoff: `${pauseMs}ms` }),
  }
}

function redirected(found: RedirectMessage, path: string, faults: Faults): object {
  const { host_redirect: authority, path_redirect: uri, port_redirect: port, response_code: code = 0 } = found
  const scheme = found.https_redirect === true ? 'https' : found.scheme_redirect
  if (redirectCodes[code] === undefined) faults.add(`${path}.response_code`, `found ${code}`)
  return {
    redirectCode: redirectCodes[code],
    ...(authority === undefined ? {} : { authority }),
    ...(uri === undefined ? {} : { uri }),
    ...(scheme === undefined ? {} : { scheme }),
    ...(port === undefined ? {} : { port }),
  }
}

function answered({ body, status = 0 }: DirectResponseMessage): object {
  const { inline_bytes: bytes, inline_string: string } = body ?? {}
  if (string !== undefined) return { status, body: { string } }
  return bytes === undefined ? { status } : { status, body: { bytes: bytes.toString('base64') } }
}
