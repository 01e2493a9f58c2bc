/**
 * Reads the field lines of a head, for requests and replies alike, and notes the facts that framing and forwarding
 * need. Byte-exact resumable: a head that comes one byte at a time costs the same scan and meets the same faults as one
 * that comes whole.
 */
import { tokenBytes, valueBytes } from './byte-classes.ts'
import { Fault } from './fault.ts'
import { Field, fieldOf } from './field-names.ts'
import { maxNominated, Phase } from './head.ts'
import type { Head } from './head.ts'
import { Method, TargetForm } from './types.ts'

const LineState = { begin: 0, name: 1, gap: 2, space: 3, value: 4, lineFeed: 5, lastLineFeed: 6 } as const

const cr = 0x0d
const lf = 0x0a
const space = 0x20
const tab = 0x09
const colon = 0x3a
const comma = 0x2c

/**
 * Reads from `head.scan` to at most `stop`. Answers 1 when the empty line was read (`head.end` is set), 0 for more
 * bytes, or a fault. isReply: whitespace before a colon is taken out instead of refused (R9).
 */
export function readFields(head: Head, stop: number, maxFields: number, isReply: boolean): number {
  const buf = head.buf
  // of a head that was begun before the bound was raised
  const most = Math.min(maxFields, head.room)
  let i = head.scan
  let state = head.lineState
  for (;;) {
    if (state === LineState.begin) {
      if (i >= stop) break
      const byte = buf[i] as number
      if (byte === cr) {
        i++
        state = LineState.lastLineFeed
      } else if (tokenBytes[byte] === 1) {
        if (head.fieldCount >= most) return Fault.tooManyFields
        head.mark = i
        state = LineState.name
      } else if (byte === space || byte === tab) {
        return Fault.lineFolding
      } else {
        return byte === lf ? Fault.lineEnd : Fault.fieldName
      }
    }
    if (state === LineState.name) {
      while (i < stop && tokenBytes[buf[i] as number] === 1) i++
      if (i >= stop) break
      head.nameEnd = i
      const byte = buf[i] as number
      if (byte === colon) {
        i++
        state = LineState.space
      } else if (byte === space || byte === tab) {
        if (!isReply) return Fault.spaceBeforeColon
        head.hasLooseLines = true
        state = LineState.gap
      } else {
        return byte === cr || byte === lf ? Fault.lineEnd : Fault.fieldName
      }
    }
    if (state === LineState.gap) {
      while (i < stop && (buf[i] === space || buf[i] === tab)) i++
      if (i >= stop) break
      if (buf[i] !== colon) return Fault.fieldName
      i++
      state = LineState.space
    }
    if (state === LineState.space) {
      while (i < stop && (buf[i] === space || buf[i] === tab)) i++
      if (i >= stop) break
      head.valueStart = i
      state = LineState.value
    }
    if (state === LineState.value) {
      while (i < stop && valueBytes[buf[i] as number] === 1) i++
      if (i >= stop) break
      const byte = buf[i] as number
      if (byte !== cr) return byte === lf ? Fault.lineEnd : Fault.fieldValue
      i++
      state = LineState.lineFeed
    }
    if (i >= stop) break
    if (buf[i] !== lf) return Fault.lineEnd
    if (state === LineState.lastLineFeed) {
      head.end = i + 1
      head.phase = Phase.done
      return 1
    }
    const valueStart = head.valueStart
    let valueEnd = i - 1
    while (valueEnd > valueStart && (buf[valueEnd - 1] === space || buf[valueEnd - 1] === tab)) valueEnd--
    const index = head.fieldCount++
    const slot = index * 4
    head.at[slot] = head.mark
    head.at[slot + 1] = head.nameEnd
    head.at[slot + 2] = valueStart
    head.at[slot + 3] = valueEnd
    const field = fieldOf(buf, head.mark, head.nameEnd)
    head.ids[index] = field
    if (field !== Field.other) {
      if (field <= Field.maxForwards) {
        const fault = noteFact(head, field, valueStart, valueEnd)
        if (fault !== 0) return fault
      }
      if (field < 32) head.seenLow |= 1 << field
      else head.seenHigh |= 1 << (field - 32)
    }
    i++
    state = LineState.begin
  }
  head.scan = i
  head.lineState = state
  return 0
}

/** Fields up to `Field.maxForwards` decide something about the message itself. */
function noteFact(head: Head, field: Field, start: number, end: number): number {
  const buf = head.buf
  switch (field) {
    case Field.host:
      if (head.has(Field.host)) return Fault.hostDuplicate
      if (head.targetForm !== TargetForm.absolute) {
        head.authorityStart = start
        head.authorityEnd = end
      }
      return 0
    case Field.contentLength: {
      if (head.has(Field.contentLength)) return Fault.contentLength
      if (start === end) return Fault.contentLength
      let length = 0
      for (let i = start; i < end; i++) {
        const digit = (buf[i] as number) - 0x30
        if (digit < 0 || digit > 9) return Fault.contentLength
        length = length * 10 + digit
        if (length > Number.MAX_SAFE_INTEGER) return Fault.contentLength
      }
      head.contentLength = length
      return 0
    }
    case Field.transferEncoding:
      if (++head.codingCount > 1) return Fault.transferCoding
      if (!equals(buf, start, end, 'chunked')) {
        return isRegisteredBeforeChunked(buf, start, end) ? Fault.codingUnknown : Fault.transferCoding
      }
      head.isChunked = true
      return 0
    case Field.connection:
      return readConnection(head, start, end)
    case Field.upgrade:
      if (listHas(buf, start, end, 'websocket')) head.namesWebSocket = true
      return 0
    case Field.te:
      if (listHas(buf, start, end, 'trailers')) head.acceptsTrailers = true
      return 0
    case Field.expect:
      if (!equals(buf, start, end, '100-continue')) {
        if (head.minor >= 1) return Fault.expectation
      } else head.expectsContinue = true
      return 0
    case Field.maxForwards: {
      if (head.methodId === Method.options && head.has(Field.maxForwards)) return Fault.maxForwards
      let count = 0
      for (let i = start; i < end; i++) {
        const digit = (buf[i] as number) - 0x30
        if (digit < 0 || digit > 9 || i - start > 8) {
          count = -1
          break
        }
        count = count * 10 + digit
      }
      head.maxForwards = start === end ? -1 : count
      return 0
    }
    default:
      return 0
  }
}

const registeredCodings = ['gzip', 'deflate', 'compress', 'x-gzip', 'x-compress']

/** `gzip, chunked` and the like: sound framing with a coding of the IANA registry that is not implemented. */
function isRegisteredBeforeChunked(buf: Buffer, start: number, end: number): boolean {
  for (const coding of registeredCodings) {
    if (equals(buf, start, end, `${coding}, chunked`) || equals(buf, start, end, `${coding},chunked`)) return true
  }
  return false
}

/**
 * Connection options: what they say themselves, and which fields they name. Elements that are no token name nothing.
 */
function readConnection(head: Head, start: number, end: number): number {
  const buf = head.buf
  let i = start
  while (i < end) {
    const byte = buf[i] as number
    if (byte === comma || byte === space || byte === tab) {
      i++
      continue
    }
    const from = i
    while (i < end && tokenBytes[buf[i] as number] === 1) i++
    const to = i
    while (i < end && (buf[i] === space || buf[i] === tab)) i++
    if (to === from || (i < end && buf[i] !== comma)) {
      while (i < end && buf[i] !== comma) i++
      continue
    }
    if (equals(buf, from, to, 'close')) head.saysClose = true
    else if (equals(buf, from, to, 'keep-alive')) head.saysKeepAlive = true
    else if (equals(buf, from, to, 'upgrade')) head.saysUpgrade = true
    else if (!equals(buf, from, to, 'te')) {
      if (head.nominatedCount >= maxNominated) return Fault.connection
      head.nominated[head.nominatedCount * 2] = from
      head.nominated[head.nominatedCount * 2 + 1] = to
      head.nominatedCount++
    }
  }
  return 0
}

/** Whether `buf[start, end)` is `word` (lower case) in any case. */
export function equals(buf: Buffer, start: number, end: number, word: string): boolean {
  if (end - start !== word.length) return false
  for (let i = 0; i < word.length; i++) {
    const byte = buf[start + i] as number
    if ((byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte) !== word.charCodeAt(i)) return false
  }
  return true
}

/** Whether a comma-separated list holds `word` (lower case) as a whole element. */
function listHas(buf: Buffer, start: number, end: number, word: string): boolean {
  let i = start
  while (i < end) {
    let to = i
    while (to < end && buf[to] !== comma) to++
    let from = i
    let last = to
    while (from < last && (buf[from] === space || buf[from] === tab)) from++
    while (last > from && (buf[last - 1] === space || buf[last - 1] === tab)) last--
    if (equals(buf, from, last, word)) return true
    i = to + 1
  }
  return false
}
