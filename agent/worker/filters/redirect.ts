/** Redirects of a rule: the last filter of a route that does not forward. */
import type { HttpActionSpec } from '../../../contracts/route-spec.ts'
import { splitAuthority } from '../route/authority.ts'
import type { HeaderEdits } from '../route/fields.ts'
import type { RequestView } from '../route/request-view.ts'
import { editedFields, emptyAnswer } from './answer.ts'
import type { Answer } from './answer.ts'
import type { Filter, FilterContext, FilterCounts } from './filter.ts'
import type { FilterKind } from './kind.ts'

type RedirectSpec = Extract<HttpActionSpec, { kind: 'redirect' }>

export const redirectKind: FilterKind<RedirectSpec, Filter> = {
  kind: 'redirect',
  make: (spec, { counts, responseEdits }) => new Redirect(spec, responseEdits, counts),
}

class Redirect implements Filter {
  readonly kind = 'redirect'
  private readonly spec: RedirectSpec
  private readonly edits: HeaderEdits | null
  private readonly counts: FilterCounts

  /** `edits`: what the route does to replies. */
  constructor(spec: RedirectSpec, edits: HeaderEdits | null, counts: FilterCounts) {
    this.spec = spec
    this.edits = edits
    this.counts = counts
  }

  onRequest({ view }: FilterContext): Answer {
    this.counts.redirects++
    return emptyAnswer(this.spec.status, editedFields([['location', redirectTarget(this.spec, view)]], this.edits))
  }

  explain(view: RequestView): string {
    return `answers ${this.spec.status} to ${redirectTarget(this.spec, view)}`
  }
}

/** As Envoy builds it: always absolute; the query stays unless the new path brings its own. */
export function redirectTarget(spec: RedirectSpec, view: RequestView): string {
  const scheme = spec.scheme ?? view.scheme
  const path = spec.uri ?? view.path
  const query = view.query === '' || path.includes('?') ? '' : `?${view.query}`
  return fieldSafe(`${scheme}://${redirectAuthority(spec, scheme, view)}${path}${query}`)
}

function redirectAuthority(spec: RedirectSpec, scheme: string, view: RequestView): string {
  const [host, port] = splitAuthority(spec.authority ?? view.authority)
  if (spec.port === 'from-protocol-default') return host
  if (spec.port === 'from-request') return withPort(host, view.localPort, scheme)
  if (spec.port !== undefined) return withPort(host, spec.port, scheme)
  const isOldDefault = scheme !== view.scheme && port === (view.scheme === 'https' ? 443 : 80)
  return port === undefined || isOldDefault ? host : `${host}:${port}`
}

function withPort(host: string, port: number, scheme: string): string {
  return port === (scheme === 'https' ? 443 : 80) ? host : `${host}:${port}`
}

/** The parser let nothing else in; a second look costs only redirects (R32). */
function fieldSafe(text: string): string {
  // eslint-disable-next-line no-control-regex
  return /^[\x21-\x7e]*$/.test(text) ? text : encodeURI(text.replace(/[\x00-\x20\x7f]/g, ''))
}
