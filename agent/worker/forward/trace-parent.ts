/**
 * Reads the trace that a caller sent: W3C Trace Context (level 1), B3 in one field or in several
 * (openzipkin/b3-propagation). What is not exactly right counts as absent.
 */
import type { RequestMessage } from './streams.ts'
import { TraceBits } from './trace-context.ts'
import type { TraceContext } from './trace-context.ts'

/** What the caller says about recording: `open` leaves it to us. */
export type CallersWord = 'none' | 'sampled' | 'not-sampled' | 'open'

const hyphen = 45

/** Fills trace id, parent and formats. `none`: there is no trace that one could go on with. */
export function readTraceParent(request: RequestMessage, trace: TraceContext): CallersWord {
  const traceparent = request.header('traceparent')
  const single = request.header('b3')
  const b3Id = request.header('x-b3-traceid')
  let formats = 0
  if (traceparent !== undefined) formats |= TraceBits.w3c
  if (single !== undefined) formats |= TraceBits.b3single
  if (b3Id !== undefined) formats |= TraceBits.b3
  if (formats === 0) return bareB3(request, single)
  trace.replaces = true
  const word =
    (traceparent === undefined ? null : readW3c(traceparent, trace)) ??
    (single === undefined ? null : readSingle(single, trace)) ??
    (b3Id === undefined ? null : readB3(request, b3Id, trace))
  if (word === null) return bareB3(request, single)
  trace.formats = formats
  trace.hasParent = true
  return word
}

/** Whether the caller sent fields of a trace, right or not. */
export function hasTraceFields(request: RequestMessage): boolean {
  return (
    request.header('traceparent') !== undefined ||
    request.header('b3') !== undefined ||
    request.header('x-b3-traceid') !== undefined
  )
}

/**
 * B3 may carry a decision without ids. It is not read as a trace: ours begins, with our own decision unless it says no.
 */
function bareB3(request: RequestMessage, single: string | undefined): CallersWord {
  const said = single ?? request.header('x-b3-sampled')
  return said === '0' ? 'not-sampled' : 'none'
}

/** `00-<32 hex>-<16 hex>-<2 hex>`; a later version may say more behind a hyphen. */
function readW3c(text: string, trace: TraceContext): CallersWord | null {
  if (text.length < 55) return null
  const isFirst = text.charCodeAt(0) === 48 && text.charCodeAt(1) === 48
  if (!isHex(text, 0, 2) || (text.charCodeAt(0) === 102 && text.charCodeAt(1) === 102)) return null
  if (text.length > 55 && (isFirst || text.charCodeAt(55) !== hyphen)) return null
  if (text.charCodeAt(2) !== hyphen || text.charCodeAt(35) !== hyphen || text.charCodeAt(52) !== hyphen) return null
  if (!isHex(text, 53, 55)) return null
  if (!copyId(text, 3, 35, trace.traceId, 0) || !copyId(text, 36, 52, trace.parentId, 0)) return null
  trace.isShort = false
  return (hexDigit(text.charCodeAt(54)) & 1) === 1 ? 'sampled' : 'not-sampled'
}

/** `<trace>-<span>[-<decision>[-<parent>]]`. */
function readSingle(text: string, trace: TraceContext): CallersWord | null {
  const first = text.indexOf('-')
  if (first !== 16 && first !== 32) return null
  const spanAt = first + 1
  const spanTo = spanAt + 16
  if (text.length > spanTo && text.charCodeAt(spanTo) !== hyphen) return null
  if (!takeB3Ids(text.slice(0, first), text.slice(spanAt, spanTo), trace)) return null
  return decision(text.slice(spanTo + 1, spanTo + 2), text.length > spanTo)
}

function readB3(request: RequestMessage, id: string, trace: TraceContext): CallersWord | null {
  if (!takeB3Ids(id, request.header('x-b3-spanid') ?? '', trace)) return null
  if (request.header('x-b3-flags') === '1') return 'sampled'
  const said = request.header('x-b3-sampled')
  return decision(said ?? '', said !== undefined)
}

function decision(said: string, isSaid: boolean): CallersWord {
  if (!isSaid) return 'open'
  return said === '1' || said === 'd' || said === 't' ? 'sampled' : 'not-sampled'
}

function takeB3Ids(id: string, span: string, trace: TraceContext): boolean {
  if ((id.length !== 16 && id.length !== 32) || span.length !== 16) return false
  const isShort = id.length === 16
  if (isShort) trace.traceId.fill(48, 0, 16)
  if (!copyId(id, 0, id.length, trace.traceId, isShort ? 16 : 0) || !copyId(span, 0, 16, trace.parentId, 0))
    return false
  trace.isShort = isShort
  return true
}

/** In lower case; false when it is no hex, or all zeros. */
function copyId(text: string, from: number, to: number, into: Buffer, at: number): boolean {
  let seen = 0
  for (let index = from; index < to; index++) {
    const code = text.charCodeAt(index)
    const digit = hexDigit(code)
    if (digit < 0) return false
    seen |= digit
    into[at++] = digit < 10 ? 48 + digit : 87 + digit
  }
  return seen !== 0
}

function isHex(text: string, from: number, to: number): boolean {
  for (let index = from; index < to; index++) if (hexDigit(text.charCodeAt(index)) < 0) return false
  return true
}

/** -1 = none. */
function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  const lower = code | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}
