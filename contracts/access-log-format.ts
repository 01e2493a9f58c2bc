/**
 * The text form of an access log line: Envoy's command operators (its documentation, "Access logging", format strings),
 * as far as their meaning exists here, and some of our own. Control checks a format with the code that the worker
 * compiles it with.
 */
import { unknownConversion } from './time-format.ts'

/** Envoy's default. */
export const defaultLogFormat =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% ' +
  '%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" ' +
  '"%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n'

/** Operators without an argument. */
const plainOperators = [
  'START_TIME',
  'PROTOCOL',
  'STREAM_ID',
  'RESPONSE_CODE',
  'RESPONSE_CODE_DETAILS',
  'RESPONSE_FLAGS',
  'GRPC_STATUS',
  'GRPC_STATUS(CAMEL_STRING)',
  'GRPC_STATUS(SNAKE_STRING)',
  'GRPC_STATUS(NUMBER)',
  'GRPC_STATUS_NUMBER',
  'BYTES_RECEIVED',
  'BYTES_SENT',
  'DURATION',
  'RESPONSE_DURATION',
  'UPSTREAM_HOST',
  'UPSTREAM_REMOTE_ADDRESS',
  'UPSTREAM_CLUSTER',
  'UPSTREAM_CLUSTER_RAW',
  'UPSTREAM_REQUEST_ATTEMPT_COUNT',
  'ROUTE_NAME',
  'DOWNSTREAM_REMOTE_ADDRESS',
  'DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT',
  'TRACE_ID',
  'HOSTNAME',
  'MESH_ERROR',
  'MESH_AUTHORIZATION',
  'MESH_TIER',
  'MESH_LISTENER',
  'MESH_SOURCE_APP',
] as const
export type PlainOperator = (typeof plainOperators)[number]

/**
 * Envoy's operators, with or without an argument, whose value never exists here, or is not kept; Envoy writes `-` for
 * such, too. Taken so that a format of Istio or Envoy need not be cut.
 */
const absentOperators = [
  'CONNECTION_TERMINATION_DETAILS',
  'DOWNSTREAM_LOCAL_ADDRESS',
  'DYNAMIC_METADATA',
  'FILTER_STATE',
  'REQUESTED_SERVER_NAME',
  'UPSTREAM_LOCAL_ADDRESS',
  'UPSTREAM_TRANSPORT_FAILURE_REASON',
] as const

export type LogPart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'operator'; readonly name: PlainOperator }
  /** When the request began, by `time-format.ts`. */
  | { readonly kind: 'start-time'; readonly format: string }
  | { readonly kind: 'absent' }
  /**
   * The first of the fields that is there, at most `maxLength` characters of it. Lower case; `:method`, `:path` and
   * `:authority` are parts of the request line.
   */
  | { readonly kind: 'request-field'; readonly names: readonly string[]; readonly maxLength: number }
  /** The same of the reply, as the caller gets it. */
  | { readonly kind: 'reply-field'; readonly names: readonly string[]; readonly maxLength: number }
  /** Ms until the endpoint's reply began: `RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)`. */
  | { readonly kind: 'upstream-time' }

/** The parts, or what is wrong, in words for an operator. */
export function parseLogFormat(format: string): readonly LogPart[] | string {
  const parts: LogPart[] = []
  let at = 0
  while (at < format.length) {
    const from = format.indexOf('%', at)
    if (from < 0) break
    if (from > at) parts.push({ kind: 'text', text: format.slice(at, from) })
    if (format[from + 1] === '%') {
      parts.push({ kind: 'text', text: '%' })
      at = from + 2
      continue
    }
    const to = endOf(format, from)
    if (to < 0) return `the % at character ${from + 1} has no end; a plain one is written %%`
    const part = parseOperator(format.slice(from + 1, to))
    if (typeof part === 'string') return part
    parts.push(part)
    at = to + 1
  }
  if (at < format.length) parts.push({ kind: 'text', text: format.slice(at) })
  return parts
}

/** Where the operator that begins at `from` ends: the form of a time has signs of its own. -1 = nowhere. */
function endOf(format: string, from: number): number {
  if (!format.startsWith('START_TIME(', from + 1)) return format.indexOf('%', from + 1)
  const close = format.indexOf(')%', from)
  return close < 0 ? -1 : close + 1
}

function parseOperator(text: string): LogPart | string {
  const plain = plainOperators.find((name) => name === text)
  if (plain !== undefined) return { kind: 'operator', name: plain }
  if (text.startsWith('START_TIME(')) {
    const format = text.slice('START_TIME('.length, -1)
    const unknown = unknownConversion(format)
    return unknown === undefined ? { kind: 'start-time', format } : `%${text}%: ${unknown} is not implemented`
  }
  if (absentOperators.some((name) => text === name || text.startsWith(`${name}(`))) return { kind: 'absent' }
  const [, name, argument = '', length] = /^([A-Z_]+)\(([^()]*)\)(?::(\d{1,6}))?$/.exec(text) ?? []
  const allowed = `allowed ${plainOperators.join(', ')}, REQ(name?other):length and RESP(name?other):length`
  if (name === 'RESP' && argument.toLowerCase() === 'x-envoy-upstream-service-time') return { kind: 'upstream-time' }
  if (name !== 'REQ' && name !== 'RESP') return `%${text}%: not implemented, ${allowed}`
  const names = argument.split('?').map((one) => one.toLowerCase())
  const isName = (one: string): boolean =>
    /^[!#$&'*+.^_`|~0-9a-z-]+$/.test(one) || (name === 'REQ' && /^:(?:method|path|authority)$/.test(one))
  if (names.length > 2 || !names.every(isName)) return `%${text}%: not one or two names of fields, ${allowed}`
  const maxLength = length === undefined ? Infinity : Number(length)
  return { kind: name === 'REQ' ? 'request-field' : 'reply-field', names, maxLength }
}
