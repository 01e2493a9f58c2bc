import { isAuthority } from './authority.ts'
import { pathBytes, targetBytes, tokenBytes } from './byte-classes.ts'
import { Fault } from './fault.ts'
import { Field } from './field-names.ts'
import { readFraming } from './framing.ts'
import { Phase } from './head.ts'
import type { Head } from './head.ts'
import { equals, readFields } from './read-fields.ts'
import { BodyKind, Method, TargetForm } from './types.ts'
import type { HeadLimits } from './types.ts'

/** Longest method. The registered ones end at 17 characters (IANA HTTP method registry, UPDATEREDIRECTREF). */
export const maxMethodBytes = 32

const LineState = {
  fresh: 0,
  emptyLineFeed: 1,
  method: 2,
  targetBegin: 3,
  path: 4,
  query: 5,
  version: 6,
  carriageReturn: 7,
  lineFeed: 8,
} as const

const cr = 0x0d
const lf = 0x0a
const space = 0x20

/**
 * Reads one request head from `buf[start, end)`.
 *
 * Answers the number of bytes consumed (> 0, the head is whole; the body or the next request follows), 0 (more bytes
 * are needed), or a negative `Fault`. After 0, call again with the same bytes (in the same place, or moved: `start` may
 * differ) and more behind them; nothing is scanned twice. After a fault the connection must be closed; until `reset()`
 * the head answers the same fault again.
 */
export function readRequest(head: Head, buf: Buffer, start: number, end: number, limits: HeadLimits): number {
  if (head.phase === Phase.fresh || head.phase === Phase.done) {
    if (start >= end) return 0
    head.begin(buf, start, limits.maxFields)
  } else if (head.phase === Phase.failed) return head.scan
  else head.resume(buf, start)

  let result = 1
  if (head.phase === Phase.startLine) result = readRequestLine(head, end, limits.maxRequestLineBytes)
  if (result > 0) {
    const last = head.start + limits.maxHeadBytes
    const stop = end < last ? end : last
    result = readFields(head, stop, limits.maxFields, false)
    if (result === 0 && end >= last) result = Fault.headTooLarge
    if (result > 0) result = finish(head)
  }
  if (result < 0) {
    head.phase = Phase.failed
    head.scan = result
    return result
  }
  return result === 0 ? 0 : head.end - start
}

function readRequestLine(head: Head, end: number, maxBytes: number): number {
  const buf = head.buf
  let i = head.scan
  let state = head.lineState
  let stop = Math.min(end, head.start + maxBytes)
  if (state === LineState.fresh) {
    if (i >= end) return 0
    if (buf[i] === cr) {
      i++
      state = LineState.emptyLineFeed
    } else {
      state = LineState.method
    }
  }
  if (state === LineState.emptyLineFeed && i < end) {
    if (buf[i] !== lf) return Fault.lineEnd
    i++
    head.start = i
    stop = Math.min(end, i + maxBytes)
    if (i < end && buf[i] === cr) return Fault.emptyLines
    state = LineState.method
  }
  if (state === LineState.method) {
    const first = head.start
    const methodStop = Math.min(stop, first + maxMethodBytes + 1)
    while (i < methodStop && tokenBytes[buf[i] as number] === 1) i++
    if (i < methodStop) {
      const byte = buf[i] as number
      if (i === first) return byte === cr ? Fault.emptyLines : Fault.startLine
      if (byte !== space) return byte === cr || byte === lf ? Fault.lineEnd : Fault.startLine
      head.methodEnd = i
      head.methodId = methodOf(buf, first, i)
      i++
      state = LineState.targetBegin
    } else if (i > first + maxMethodBytes) {
      return Fault.startLine
    }
  }
  if (state === LineState.targetBegin && i < stop) {
    head.targetStart = i
    const byte = buf[i] as number
    if (targetBytes[byte] === 0) return byte === space ? Fault.startLine : Fault.target
    state = LineState.path
  }
  if (state === LineState.path) {
    while (i < stop && pathBytes[buf[i] as number] === 1) i++
    if (i < stop) {
      head.pathEnd = i
      if (buf[i] === 0x3f) {
        i++
        head.queryStart = i
        state = LineState.query
      } else {
        if (buf[i] !== space) return targetFault(buf[i] as number)
        head.queryStart = i
        head.queryEnd = i
        head.targetEnd = i
        i++
        head.mark = i
        state = LineState.version
      }
    }
  }
  if (state === LineState.query) {
    while (i < stop && targetBytes[buf[i] as number] === 1) i++
    if (i < stop) {
      if (buf[i] !== space) return targetFault(buf[i] as number)
      head.queryEnd = i
      head.targetEnd = i
      i++
      head.mark = i
      state = LineState.version
    }
  }
  if (state === LineState.version) {
    const first = head.mark
    while (i < stop && i < first + 8) {
      const byte = buf[i] as number
      const k = i - first
      if (k === 5 || k === 7 ? byte < 0x30 || byte > 0x39 : byte !== 'HTTP/0.0'.charCodeAt(k)) return Fault.version
      i++
    }
    if (i === first + 8) {
      const major = (buf[first + 5] as number) - 0x30
      if (major === 2 && isPreface(head)) return Fault.http2Preface
      if (major !== 1) return major === 0 || major === 2 ? Fault.version : Fault.versionUnsupported
      head.minor = buf[first + 7] === 0x30 ? 0 : 1
      state = LineState.carriageReturn
    }
  }
  if (state === LineState.carriageReturn && i < end) {
    const byte = buf[i] as number
    if (byte !== cr) return byte === lf ? Fault.lineEnd : Fault.startLine
    i++
    state = LineState.lineFeed
  }
  if (state === LineState.lineFeed && i < end) {
    if (buf[i] !== lf) return Fault.lineEnd
    head.scan = i + 1
    head.lineState = 0
    head.phase = Phase.fields
    return checkTarget(head)
  }
  head.scan = i
  head.lineState = state
  return i - head.start >= maxBytes && state < LineState.carriageReturn ? Fault.requestLineTooLong : 0
}

/**
 * `PRI * HTTP/2.0`, with which a caller begins HTTP/2 that knows or believes that it is spoken here (RFC 9113 section
 * 3.4).
 */
function isPreface(head: Head): boolean {
  return (
    equals(head.buf, head.start, head.methodEnd, 'pri') &&
    head.targetEnd - head.targetStart === 1 &&
    head.buf[head.targetStart] === 0x2a
  )
}

function targetFault(byte: number): number {
  return byte === cr || byte === lf ? Fault.startLine : Fault.target
}

const methodNames: readonly (readonly [Method, string])[] = [
  [Method.get, 'GET'],
  [Method.post, 'POST'],
  [Method.put, 'PUT'],
  [Method.head, 'HEAD'],
  [Method.delete, 'DELETE'],
  [Method.options, 'OPTIONS'],
  [Method.patch, 'PATCH'],
  [Method.trace, 'TRACE'],
  [Method.connect, 'CONNECT'],
]

/** Methods are case-sensitive (RFC 9110 section 9.1). */
function methodOf(buf: Buffer, start: number, end: number): Method {
  for (let m = 0; m < methodNames.length; m++) {
    const entry = methodNames[m] as readonly [Method, string]
    const name = entry[1]
    if (name.length !== end - start) continue
    let i = 0
    while (i < name.length && name.charCodeAt(i) === buf[start + i]) i++
    if (i === name.length) return entry[0]
  }
  return Method.other
}

/**
 * Methods of protocols that look like HTTP/1.1 but are not: RTSP (RFC 2326, RFC 7826), and `PRI`, which is kept for
 * HTTP/2's preface (RFC 9113 section 3.4). A server that knows them would not read them as HTTP.
 */
const foreignMethods: ReadonlySet<string> = new Set([
  'ANNOUNCE',
  'DESCRIBE',
  'GET_PARAMETER',
  'PAUSE',
  'PLAY',
  'PLAY_NOTIFY',
  'PRI',
  'RECORD',
  'REDIRECT',
  'SETUP',
  'SET_PARAMETER',
  'TEARDOWN',
])

/** R4: which form the target has, and whether it fits the method. Cuts an absolute-form into authority and path. */
function checkTarget(head: Head): number {
  const buf = head.buf
  const first = buf[head.targetStart]
  head.pathStart = head.targetStart
  if (head.methodId === Method.connect) {
    if (!isAuthority(buf, head.targetStart, head.targetEnd)) return Fault.targetForm
    head.targetForm = TargetForm.authority
    return head.takesConnect ? 1 : Fault.method
  }
  if (head.methodId === Method.other && foreignMethods.has(head.method)) return Fault.method
  if (first === 0x2f) {
    head.targetForm = TargetForm.origin
    return 1
  }
  if (first === 0x2a && head.targetEnd - head.targetStart === 1) {
    if (head.methodId !== Method.options) return Fault.targetForm
    head.targetForm = TargetForm.asterisk
    return 1
  }
  const at = equals(buf, head.targetStart, head.targetStart + 7, 'http://')
    ? head.targetStart + 7
    : equals(buf, head.targetStart, head.targetStart + 8, 'https://')
      ? head.targetStart + 8
      : -1
  if (at < 0 || at > head.pathEnd) return Fault.targetForm
  let slash = at
  while (slash < head.pathEnd && buf[slash] !== 0x2f) slash++
  if (!isAuthority(buf, at, slash)) return Fault.host
  head.targetForm = TargetForm.absolute
  head.authorityStart = at
  head.authorityEnd = slash
  head.pathStart = slash
  return 1
}

/** Rules that need the whole head: Host (R5), framing (R11, R13), persistence (R30), upgrade (R19, R20). */
function finish(head: Head): number {
  if (head.has(Field.host)) {
    const index = head.find(Field.host) * 4
    if (!isAuthority(head.buf, head.at[index + 2] as number, head.at[index + 3] as number)) return Fault.host
  } else if (head.minor >= 1) {
    return Fault.hostMissing
  }
  const fault = readFraming(head)
  if (fault !== 0) return fault
  if (head.methodId === Method.trace) return head.body === BodyKind.none ? Fault.method : Fault.traceBody
  head.keepsAlive = head.minor >= 1 ? !head.saysClose : head.saysKeepAlive && !head.saysClose
  if (head.body === BodyKind.none || head.minor === 0) head.expectsContinue = false
  head.upgradesToWebSocket =
    head.saysUpgrade &&
    head.namesWebSocket &&
    head.methodId === Method.get &&
    head.minor >= 1 &&
    head.body === BodyKind.none
  return 1
}
