import { tokenBytes } from './byte-classes.ts'
import { Field } from './field-names.ts'
import { latin1Slice } from './latin1.ts'
import type { StringCache } from './string-cache.ts'
import { BodyKind, Method, TargetForm } from './types.ts'

/** By `Method`: what is asked for with each request need not be looked up. */
const methodTexts = [undefined, 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'CONNECT'] as const

/** Where the reading of a head stands. */
export const Phase = { fresh: 0, startLine: 1, fields: 2, done: 3, failed: 4 } as const
export type Phase = (typeof Phase)[keyof typeof Phase]

/** Most tokens that all Connection fields of a message may hold besides close, keep-alive, upgrade and te. */
export const maxNominated = 32

/**
 * A view of one message head in the buffer that holds it, and the facts that its one pass of reading found.
 *
 * One per connection side, reused for each message. Positions are absolute offsets into `buf`; they are valid until the
 * next message is read, and as long as nobody overwrites those bytes: whoever reuses the read buffer first copies
 * `[start, end)` away and calls `moveTo`. Everything is readable after `readRequest` or `readReply` answered a positive
 * number, and means nothing before.
 */
export class Head {
  buf: Buffer = Buffer.alloc(0)
  /**
   * First byte of the start line (an ignored empty line lies before it), and the byte after the empty line that ends
   * the head.
   */
  start = 0
  end = 0
  /** 0 or 1; higher minor versions count as 1 (R2). */
  minor = 1

  // request
  methodId: Method = Method.other
  methodEnd = 0
  targetStart = 0
  targetEnd = 0
  targetForm: TargetForm = TargetForm.origin
  /** Path without query, as sent (R37). Empty range for an absolute-form without a path. */
  pathStart = 0
  pathEnd = 0
  /** After `?`; empty range if there is none. */
  queryStart = 0
  queryEnd = 0
  /** Host and port: of an absolute-form target, else of the Host field; empty range for HTTP/1.0 without either. */
  authorityStart = 0
  authorityEnd = 0

  // reply
  /** 100..599; 0 for requests. */
  status = 0

  // fields
  fieldCount = 0
  /** Four offsets per field: name start, name end, value start, value end (without surrounding whitespace). */
  at: Int32Array
  /** `Field` per field. */
  ids: Uint8Array

  // facts
  body: BodyKind = BodyKind.none
  /** -1 = no Content-Length. */
  contentLength = -1
  isChunked = false
  /** Whether this message leaves the connection open, by version and Connection alone. */
  keepsAlive = true
  /**
   * GET with `Upgrade: websocket` listed in Connection, HTTP/1.1, no body (R19, R20); or a 101 that switches to
   * websocket.
   */
  upgradesToWebSocket = false
  /** `Expect: 100-continue` in HTTP/1.1 with a body. */
  expectsContinue = false
  /** `TE: trailers`. */
  acceptsTrailers = false
  /** -1 = none or not a number. */
  maxForwards = -1
  /** Fields named by Connection, other than its own options: pairs of offsets. */
  readonly nominated: Int32Array = new Int32Array(maxNominated * 2)
  nominatedCount = 0
  /** A line must not be forwarded byte by byte: space before the colon of a reply's field (R9). */
  hasLooseLines = false
  /** CONNECT is read as every other request, for whoever serves it. */
  takesConnect = false

  // How far the reading is; for the readers of this folder only
  phase: Phase = Phase.fresh
  lineState = 0
  scan = 0
  base = 0
  mark = 0
  nameEnd = 0
  valueStart = 0
  seenLow = 0
  seenHigh = 0
  codingCount = 0
  saysClose = false
  saysKeepAlive = false
  saysUpgrade = false
  namesWebSocket = false

  private readonly strings: StringCache
  /** Once it was asked for; '' = not yet. */
  private authorityText = ''

  /** maxFields: what the tables are made for at first; they grow when a read's limits ask for more. */
  constructor(strings: StringCache, maxFields: number) {
    this.strings = strings
    this.at = new Int32Array(maxFields * 4)
    this.ids = new Uint8Array(maxFields)
  }

  /** Fields that the tables hold. */
  get room(): number {
    return this.ids.length
  }

  /**
   * Forgets what was read, also a half-read head; the next read begins anew. Called by the readers themselves after a
   * whole head.
   */
  reset(): void {
    this.phase = Phase.fresh
  }

  /** Says that the bytes of the whole head, `[start, end)`, now lie in `buf` from `at` on: all positions follow. */
  moveTo(buf: Buffer, at: number): void {
    this.buf = buf
    this.shift(at - this.start)
  }

  /** Begins a message at `buf[base]`. */
  begin(buf: Buffer, base: number, maxFields: number): void {
    if (this.ids.length < maxFields) {
      this.at = new Int32Array(maxFields * 4)
      this.ids = new Uint8Array(maxFields)
    }
    this.buf = buf
    this.base = base
    this.scan = base
    this.start = base
    this.end = base
    this.mark = base
    this.phase = Phase.startLine
    this.lineState = 0
    this.minor = 1
    this.methodId = Method.other
    this.targetForm = TargetForm.origin
    this.authorityStart = base
    this.authorityEnd = base
    this.authorityText = ''
    this.status = 0
    this.fieldCount = 0
    this.body = BodyKind.none
    this.contentLength = -1
    this.isChunked = false
    this.keepsAlive = true
    this.upgradesToWebSocket = false
    this.expectsContinue = false
    this.acceptsTrailers = false
    this.maxForwards = -1
    this.nominatedCount = 0
    this.hasLooseLines = false
    this.seenLow = 0
    this.seenHigh = 0
    this.codingCount = 0
    this.saysClose = false
    this.saysKeepAlive = false
    this.saysUpgrade = false
    this.namesWebSocket = false
  }

  /** Goes on with a half-read head whose bytes may have moved. */
  resume(buf: Buffer, base: number): void {
    this.buf = buf
    this.shift(base - this.base)
  }

  private shift(by: number): void {
    if (by === 0) return
    this.start += by
    this.end += by
    this.methodEnd += by
    this.targetStart += by
    this.targetEnd += by
    this.pathStart += by
    this.pathEnd += by
    this.queryStart += by
    this.queryEnd += by
    this.authorityStart += by
    this.authorityEnd += by
    this.scan += by
    this.base += by
    this.mark += by
    this.nameEnd += by
    this.valueStart += by
    for (let i = 0; i < this.fieldCount * 4; i++) this.at[i] = (this.at[i] as number) + by
    for (let i = 0; i < this.nominatedCount * 2; i++) this.nominated[i] = (this.nominated[i] as number) + by
  }

  has(field: Field): boolean {
    return field < 32 ? (this.seenLow & (1 << field)) !== 0 : (this.seenHigh & (1 << (field - 32))) !== 0
  }

  /** Index of the first field of this kind, or -1. Not for `Field.other`. */
  find(field: Field): number {
    if (!this.has(field)) return -1
    for (let i = 0; i < this.fieldCount; i++) if (this.ids[i] === field) return i
    return -1
  }

  get method(): string {
    return methodTexts[this.methodId] ?? this.strings.get(this.buf, this.start, this.methodEnd)
  }

  get path(): string {
    return this.strings.get(this.buf, this.pathStart, this.pathEnd)
  }

  get query(): string {
    return this.strings.get(this.buf, this.queryStart, this.queryEnd)
  }

  /** Lower case, with the port if there is one. */
  get authority(): string {
    if (this.authorityText === '')
      this.authorityText = this.strings.getLowerCase(this.buf, this.authorityStart, this.authorityEnd)
    return this.authorityText
  }

  /** As sent. */
  nameOf(index: number): string {
    return this.strings.get(this.buf, this.at[index * 4] as number, this.at[index * 4 + 1] as number)
  }

  /** Without surrounding whitespace; one character per byte. */
  valueOf(index: number): string {
    return this.strings.get(this.buf, this.at[index * 4 + 2] as number, this.at[index * 4 + 3] as number)
  }

  /** First value of a field, `name` in lower case. */
  header(name: string): string | undefined {
    for (let i = 0; i < this.fieldCount; i++) if (this.isNamed(i, name)) return this.valueOf(i)
    return undefined
  }

  /** All values of a field, joined by commas; name in lower case. */
  headerValues(name: string): string | undefined {
    let values: string | undefined
    for (let i = 0; i < this.fieldCount; i++) {
      if (!this.isNamed(i, name)) continue
      const value = this.valueOf(i)
      values = values === undefined ? value : `${values},${value}`
    }
    return values
  }

  private isNamed(index: number, name: string): boolean {
    const start = this.at[index * 4] as number
    const { length } = name
    if ((this.at[index * 4 + 1] as number) - start !== length) return false
    let k = 0
    while (k < length && lowerCase(this.buf[start + k] as number) === name.charCodeAt(k)) k++
    return k === length
  }

  /** Whether Connection names the field at this index, which is then of this connection only (R17). */
  isNominated(index: number): boolean {
    const { buf } = this
    const start = this.at[index * 4] as number
    const end = this.at[index * 4 + 1] as number
    for (let n = 0; n < this.nominatedCount; n++) {
      const from = this.nominated[n * 2] as number
      if ((this.nominated[n * 2 + 1] as number) - from !== end - start) continue
      let i = start
      while (i < end && sameLetter(buf[i] as number, buf[from + i - start] as number)) i++
      if (i === end) return true
    }
    return false
  }

  /**
   * How often `pseudonym` (lower case) is named as a recipient in the Via fields (RFC 9110 section 7.6.3): the loop
   * guard.
   */
  countVia(pseudonym: string): number {
    if (!this.has(Field.via)) return 0
    let count = 0
    for (let i = 0; i < this.fieldCount; i++) {
      if (this.ids[i] !== Field.via) continue
      const text = latin1Slice(this.buf, this.at[i * 4 + 2] as number, this.at[i * 4 + 3] as number).toLowerCase()
      for (let from = text.indexOf(pseudonym); from >= 0; from = text.indexOf(pseudonym, from + 1)) {
        const before = from === 0 ? 0x20 : text.charCodeAt(from - 1)
        const behind = text.charCodeAt(from + pseudonym.length)
        if (before === 0x20 && tokenBytes[behind] !== 1) count++
      }
    }
    return count
  }
}

function lowerCase(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
}

function sameLetter(a: number, b: number): boolean {
  if (a === b) return true
  const letter = a | 0x20
  return letter === (b | 0x20) && letter >= 0x61 && letter <= 0x7a
}
