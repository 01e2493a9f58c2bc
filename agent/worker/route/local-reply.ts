/** Answers that rules make: redirects, direct responses, and the refusals of filters. */
import type { HttpActionSpec } from '../../../contracts/route-spec.ts'
import type { Answer, Fields, Filter, FilterContext, FilterCounts, HeaderEdits, RequestView } from './types.ts'

type RedirectSpec = Extract<HttpActionSpec, { kind: 'redirect' }>
type DirectSpec = Extract<HttpActionSpec, { kind: 'direct' }>

const noBody = Buffer.alloc(0)

/** Every answer without other fields shares these, so that a codec writes them once. */
export const noFields: Fields = []
/** Of an answer whose body is a line for people. */
export const plainText: Fields = [['content-type', 'text/plain']]

/** The last filter of a route that does not forward: it always replies. `edits`: what the route does to responses. */
export function actionFilter(
  action: HttpActionSpec,
  counts: FilterCounts,
  edits: HeaderEdits | null = null,
): Filter | undefined {
  if (action.kind === 'redirect') return redirectFilter(action, counts, edits)
  if (action.kind === 'direct') return directFilter(action, counts, edits)
  return undefined
}

function edited(fields: Fields, edits: HeaderEdits | null): Fields {
  if (edits === null) return fields
  return [...fields.filter(([name]) => !edits.drop.has(name)), ...edits.fields]
}

/** An answer that refuses, with a line of text for whoever reads it. `fields` other than `plainText` begin with it. */
export function refusal(
  status: number,
  code: NonNullable<Answer['code']>,
  flag: string,
  text: string,
  fields: Fields = plainText,
): Answer {
  return { kind: 'answer', status, code, flag, fields, body: Buffer.from(`${text}\n`, 'utf8') }
}

/** An answer without a body that a rule asked for. */
export function emptyAnswer(status: number, fields: Fields): Answer {
  return { kind: 'answer', status, code: undefined, flag: '-', fields, body: noBody }
}

function directFilter(spec: DirectSpec, counts: FilterCounts, edits: HeaderEdits | null): Filter {
  const body = spec.bodyIsBase64 === true ? Buffer.from(spec.body, 'base64') : Buffer.from(spec.body, 'utf8')
  const fields = edited(body.length === 0 ? noFields : [['content-type', spec.contentType]], edits)
  const answer: Answer = { kind: 'answer', status: spec.status, code: undefined, flag: '-', fields, body }
  return {
    name: 'direct-response',
    onRequest() {
      counts.directResponses++
      return answer
    },
  }
}

function redirectFilter(spec: RedirectSpec, counts: FilterCounts, edits: HeaderEdits | null): Filter {
  return {
    name: 'redirect',
    onRequest({ view }: FilterContext) {
      counts.redirects++
      return emptyAnswer(spec.status, edited([['location', redirectTarget(spec, view)]], edits))
    },
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

/** `host:port` or `[::1]:port` in two. */
export function splitAuthority(authority: string): readonly [string, number | undefined] {
  const colon = authority.lastIndexOf(':')
  if (colon < 0 || authority.indexOf(']', colon) >= 0) return [authority, undefined]
  const port = Number(authority.slice(colon + 1))
  return [authority.slice(0, colon), Number.isInteger(port) && port > 0 && port < 65_536 ? port : undefined]
}

/** The parser let nothing else in; a second look costs only redirects (R32). */
function fieldSafe(text: string): string {
  // eslint-disable-next-line no-control-regex
  return /^[\x21-\x7e]*$/.test(text) ? text : encodeURI(text.replace(/[\x00-\x20\x7f]/g, ''))
}
