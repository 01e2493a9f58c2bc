/**
 * Cross-origin requests (Fetch standard, CORS protocol). A preflight from an allowed origin is answered here; one from
 * another origin goes to the application, or, with `unmatchedPreflights: IGNORE`, is answered without permission. On
 * ordinary responses the policy of the rule replaces the application's own fields.
 */
import type { CorsSpec, FilterSpec } from '../../../contracts/route-spec.ts'
import type { Fields, HeaderEdits } from '../route/fields.ts'
import type { RequestView } from '../route/request-view.ts'
import { fieldMatcher } from '../route/string-match.ts'
import { emptyAnswer } from './answer.ts'
import type { FilterCounts, ReplyFilter } from './filter.ts'
import type { FilterKind } from './kind.ts'

/** Allowed origins whose fields are kept; beyond it the memory starts anew. */
const maxOrigins = 256

const varyOrigin: Fields = [['vary', 'origin']]

export const corsKind: FilterKind<Extract<FilterSpec, { kind: 'cors' }>, ReplyFilter> = {
  kind: 'cors',
  make: (spec, { counts }) => corsFilter(spec, counts),
}

function corsFilter(spec: CorsSpec, counts: FilterCounts): ReplyFilter {
  const origins = spec.allowOrigins.map((origin) => fieldMatcher(origin))
  const isAllowed = (origin: string): boolean => origins.some((matcher) => matcher.test(origin))
  /** Whether a preflight of this origin is answered here, with its fields. */
  const isAnswered = (origin: string | undefined): boolean =>
    origin !== undefined && (isAllowed(origin) || spec.forwardUnmatchedPreflights === false)
  const preflightFields = fields([
    ['access-control-allow-credentials', spec.allowCredentials ? 'true' : ''],
    ['access-control-allow-methods', spec.allowMethods.join(',')],
    ['access-control-allow-headers', spec.allowHeaders.join(',')],
    ['access-control-max-age', spec.maxAgeMs === undefined ? '' : String(Math.floor(spec.maxAgeMs / 1000))],
  ])
  const responseFields = fields([
    ['access-control-allow-credentials', spec.allowCredentials ? 'true' : ''],
    ['access-control-expose-headers', spec.exposeHeaders.join(',')],
  ])
  const drop = new Set([
    'access-control-allow-origin',
    'access-control-allow-credentials',
    'access-control-expose-headers',
  ])
  const toOthers: HeaderEdits = { fields: varyOrigin, drop }
  /** By origin, so that the next response to the same page is written from kept bytes. */
  const toAllowed = new Map<string, HeaderEdits>()
  const editsFor = (origin: string): HeaderEdits => {
    const known = toAllowed.get(origin)
    if (known !== undefined) return known
    if (toAllowed.size >= maxOrigins) toAllowed.clear()
    const edits: HeaderEdits = { fields: [...originFields(origin), ...responseFields], drop }
    toAllowed.set(origin, edits)
    return edits
  }
  return {
    kind: 'cors',
    onRequest({ view }) {
      const origin = preflightOrigin(view)
      if (origin === undefined || !isAnswered(origin)) return null
      counts.preflights++
      return emptyAnswer(200, isAllowed(origin) ? [...originFields(origin), ...preflightFields] : varyOrigin)
    },
    onReply({ view }) {
      if (isAnswered(preflightOrigin(view))) return null
      const origin = view.header('origin')
      return origin !== undefined && isAllowed(origin) ? editsFor(origin) : toOthers
    },
    explain(view) {
      const origin = view.header('origin')
      if (isAnswered(preflightOrigin(view))) return `answers the preflight of ${origin}`
      if (origin === undefined) return 'lets the request pass: it names no origin'
      return `lets the request pass, and its reply is ${isAllowed(origin) ? '' : 'not '}for ${origin}`
    },
  }
}

/** Origin of a preflight; undefined for any other request. */
function preflightOrigin(view: RequestView): string | undefined {
  if (view.method !== 'OPTIONS' || view.header('access-control-request-method') === undefined) return undefined
  return view.header('origin')
}

function originFields(origin: string): Fields {
  return [['access-control-allow-origin', origin], ...varyOrigin]
}

function fields(entries: Fields): Fields {
  return entries.filter(([, value]) => value !== '')
}
