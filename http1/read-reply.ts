import { valueBytes } from './byte-classes.ts'
import { Fault } from './fault.ts'
import { readFraming } from './framing.ts'
import { Phase } from './head.ts'
import type { Head } from './head.ts'
import { readFields } from './read-fields.ts'
import { BodyKind, Method } from './types.ts'
import type { HeadLimits } from './types.ts'

const LineState = { version: 0, statusCode: 1, reason: 2, lineFeed: 3 } as const

const cr = 0x0d
const lf = 0x0a
const space = 0x20

/**
 * Reads one reply head; same contract as `readRequest`. Interim replies (1xx) are heads of their own: `head.status <
 * 200`, `head.body` none; read on.
 *
 * requestMethod: of the request that is answered, it decides whether there is a body (R23). upgradeAsked: whether that
 * request asked for an upgrade; 101 without it is a fault (R21). The request line limit does not apply; `maxHeadBytes`
 * and `maxFields` do.
 */
export function readReply(
  head: Head,
  buf: Buffer,
  start: number,
  end: number,
  limits: HeadLimits,
  requestMethod: Method,
  upgradeAsked: boolean,
): number {
  if (head.phase === Phase.fresh || head.phase === Phase.done) {
    if (start >= end) return 0
    head.begin(buf, start, limits.maxFields)
  } else if (head.phase === Phase.failed) return head.scan
  else head.resume(buf, start)

  const last = head.start + limits.maxHeadBytes
  const stop = end < last ? end : last
  let result = 1
  if (head.phase === Phase.startLine) result = readStatusLine(head, stop)
  if (result > 0) result = readFields(head, stop, limits.maxFields, true)
  if (result === 0 && end >= last) result = Fault.headTooLarge
  if (result > 0) result = finish(head, requestMethod, upgradeAsked)
  if (result < 0) {
    head.phase = Phase.failed
    head.scan = result
    return result
  }
  return result === 0 ? 0 : head.end - start
}

function readStatusLine(head: Head, stop: number): number {
  const buf = head.buf
  const first = head.start
  let i = head.scan
  let state = head.lineState
  if (state === LineState.version) {
    while (i < stop && i < first + 9) {
      const byte = buf[i] as number
      const k = i - first
      if (k === 7 ? byte < 0x30 || byte > 0x39 : byte !== 'HTTP/1.0 '.charCodeAt(k)) return Fault.version
      i++
    }
    if (i === first + 9) {
      head.minor = buf[first + 7] === 0x30 ? 0 : 1
      state = LineState.statusCode
    }
  }
  if (state === LineState.statusCode) {
    while (i < stop && i < first + 12) {
      const byte = buf[i] as number
      if (byte < 0x30 || byte > 0x39) return Fault.status
      head.status = head.status * 10 + byte - 0x30
      i++
    }
    if (i === first + 12 && i < stop) {
      // RFC 9110 section 15: 100 to 599 are valid
      if (head.status < 100 || head.status > 599) return Fault.status
      const byte = buf[i] as number
      if (byte === space) i++
      else if (byte !== cr) return byte === lf ? Fault.lineEnd : Fault.status
      state = LineState.reason
    }
  }
  if (state === LineState.reason) {
    while (i < stop && valueBytes[buf[i] as number] === 1) i++
    if (i < stop) {
      const byte = buf[i] as number
      if (byte !== cr) return byte === lf ? Fault.lineEnd : Fault.startLine
      i++
      state = LineState.lineFeed
    }
  }
  if (state === LineState.lineFeed && i < stop) {
    if (buf[i] !== lf) return Fault.lineEnd
    head.targetEnd = i - 1
    head.scan = i + 1
    head.lineState = 0
    head.phase = Phase.fields
    return 1
  }
  head.scan = i
  head.lineState = state
  return 0
}

/** Rules that need the whole head: body (R11, R13, R23), persistence, switch (R21). */
function finish(head: Head, requestMethod: Method, upgradeAsked: boolean): number {
  const status = head.status
  head.keepsAlive = head.minor >= 1 ? !head.saysClose : head.saysKeepAlive && !head.saysClose
  if (status === 101) {
    if (!upgradeAsked || !head.saysUpgrade || !head.namesWebSocket || head.minor === 0) return Fault.switchNotAsked
    head.upgradesToWebSocket = true
    head.body = BodyKind.tunnel
    head.keepsAlive = false
    return 1
  }
  if (status < 200 || status === 204 || status === 304 || requestMethod === Method.head) return 1
  const fault = readFraming(head)
  if (fault !== 0) return fault
  if (!head.isChunked && head.contentLength < 0) {
    head.body = BodyKind.untilClose
    head.keepsAlive = false
  }
  return 1
}
