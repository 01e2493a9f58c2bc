/** One condition of a route in the words of Envoy. */
import type { Plain } from '../../../contracts/envoy-api/message-form.ts'
import type { HttpMatchSpec, PresenceMatchSpec, StringMatchSpec } from '../../../contracts/route-spec.ts'
import type { Flavour } from './cluster-name.ts'
import { given, type LeftOut } from './translation.ts'

/**
 * undefined: a client of this kind never fulfils it. Who calls is known of no foreign client, so nothing that asks for
 * labels, a namespace or claims of the caller is true of one.
 */
export function routeMatch(match: HttpMatchSpec, flavour: Flavour, leftOut: LeftOut): Plain | undefined {
  if (match.sourceLabels !== undefined || match.sourceNamespace !== undefined || match.claims !== undefined)
    return leftOut.add('a route for callers with certain labels, namespaces or claims: never taken')
  const headers = [
    ...headerMatches({ ':method': match.method, ':scheme': match.scheme, ':authority': match.authority }),
    ...headerMatches(match.headers ?? {}),
    ...headerMatches(match.withoutHeaders ?? {}).map(without),
  ]
  if (match.port !== undefined || match.namedPorts !== undefined) {
    if (flavour === 'grpc') {
      if (match.port !== undefined) return leftOut.add('a route for a port: never taken by clients of gRPC')
    } else headers.push(namedPorts(match.namedPorts ?? [match.port!], match.port === undefined || match.port === 80))
  }
  const query = Object.entries(match.queryParams ?? {}).map(([name, one]) =>
    'present' in one ? { name, present_match: true } : { name, string_match: stringMatch(one) },
  )
  return given({
    ...path(match.uri, match.ignoreUriCase === true),
    headers: headers.length === 0 ? undefined : headers,
    query_parameters: query.length === 0 ? undefined : query,
  })
}

export const everyRequest: Plain = { prefix: '/' }

export function stringMatch(match: StringMatchSpec): Plain {
  if ('exact' in match) return { exact: match.exact }
  return 'prefix' in match ? { prefix: match.prefix } : { safe_regex: { regex: match.regex } }
}

function path(uri: StringMatchSpec | undefined, ignoresCase: boolean): Plain {
  const insensitive = ignoresCase ? { case_sensitive: false } : {}
  if (uri === undefined) return everyRequest
  if ('exact' in uri) return { path: uri.exact, ...insensitive }
  if ('prefix' in uri) return { prefix: uri.prefix, ...insensitive }
  return { safe_regex: { regex: ignoresCase ? `(?i)${uri.regex}` : uri.regex } }
}

function headerMatches(wanted: Readonly<Record<string, PresenceMatchSpec | undefined>>): Plain[] {
  return Object.entries(wanted).flatMap(([name, match]) => {
    if (match === undefined) return []
    return [{ name, ...('present' in match ? { present_match: true } : { string_match: stringMatch(match) }) }]
  })
}

/** A header that is not there does not fulfil it either. */
function without(match: Plain): Plain {
  return { ...match, invert_match: true, ...('present_match' in match ? {} : { treat_missing_header_as_empty: true }) }
}

/** The caller names one of these in Host, or (where that is all right) none. */
function namedPorts(ports: readonly number[], mayBeAbsent: boolean): Plain {
  const port = `:(${ports.join('|')})`
  return {
    name: ':authority',
    string_match: { safe_regex: { regex: `([^:]*|\\[.*\\])${mayBeAbsent ? `(${port})?` : port}` } },
  }
}
