/** A view of one message head in the buffer that holds it, and the facts that its one pass of reading found. */
import { BodyKind, Method, TargetForm } from './types.ts'
import type { Field } from './field-names.ts'
import type { StringCache } from './string-cache.ts'

/**
 * One per connection side, reused for each message. Positions are absolute offsets into `buf`; they are valid until the next message is read, and as long as
 * nobody overwrites those bytes: whoever reuses the read buffer first copies the head away and calls `moveTo`.
 *
 * Everything is readable after `readRequest` or `readReply` answered a positive number, and means nothing before.
 */
export class Head {
  buf: Buffer
  /** First byte of the start line (an ignored empty line lies before it), and the byte after the empty line that ends the head. */
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
  /** 100..999; 0 for requests. */
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
  /** GET with `Upgrade: websocket` listed in Connection, HTTP/1.1, no body (R19, R20); or, in a 101, `Upgrade: websocket`. */
  upgradesToWebSocket = false
  /** `Expect: 100-continue` in HTTP/1.1. */
  expectsContinue = false
  /** `TE: trailers`. */
  acceptsTrailers = false
  /** -1 = none or not a number. */
  maxForwards = -1

  constructor(strings: StringCache, maxFields: number) {
    this.buf = Buffer.alloc(0)
    this.strings = strings
    this.at = new Int32Array(maxFields * 4)
    this.ids = new Uint8Array(maxFields)
  }

  private strings: StringCache

  /** Forgets a half-read head; the next read begins anew. */
  reset(): void {}

  /** Says that the bytes `[start, end)` were copied to `buf` at `start`: all positions follow. Also for a half-read head. */
  moveTo(buf: Buffer, start: number): void {
    void buf
    void start
  }

  /** Index of the first field with this id, or -1. Not for `Field.other`. */
  find(id: Field): number {
    return this.ids.indexOf(id)
  }

  get method(): string {
    return this.strings.get(this.buf, this.start, this.methodEnd)
  }

  get path(): string {
    return this.strings.get(this.buf, this.pathStart, this.pathEnd)
  }

  get query(): string {
    return this.strings.get(this.buf, this.queryStart, this.queryEnd)
  }

  /** Lower case, with the port if there is one. */
  get authority(): string {
    return this.strings.getLowerCase(this.buf, this.authorityStart, this.authorityEnd)
  }

  nameOf(index: number): string {
    void index
    return ''
  }

  valueOf(index: number): string {
    void index
    return ''
  }

  /** First value of a field, `name` in lower case. */
  header(name: string): string | undefined {
    void name
    return undefined
  }

  /** How often `pseudonym` (lower case) is named as a recipient in the Via fields: the loop guard. */
  countVia(pseudonym: string): number {
    void pseudonym
    return 0
  }
}
