import { Field } from '../../../../http1/field-names.ts'
import { Head } from '../../../../http1/head.ts'
import { readRequest } from '../../../../http1/read-request.ts'
import type { StringCache } from '../../../../http1/string-cache.ts'
import { BodyKind, Method } from '../../../../http1/types.ts'
import type { FieldVisitor, RequestMessage } from '../../forward/streams.ts'
import { CallerRequest } from '../caller.ts'
import { visitFields } from './visit-fields.ts'

/** A shorter head than this shares one size of memory, so that the next one fits too. */
const leastHeadBytes = 1024

const idempotent: readonly boolean[] = Array.from(
  { length: 16 },
  (_, id) =>
    id === Method.get ||
    id === Method.head ||
    id === Method.put ||
    id === Method.delete ||
    id === Method.options ||
    id === Method.trace,
)

/** The head of a request in HTTP/1.1. Reused, with its stream, for one request after another. */
export class Http1Request extends CallerRequest implements RequestMessage {
  readonly head: Head
  readonly callerTimeoutMs = -1
  readonly speaks = null
  private readonly strings: StringCache
  /** Copy of the head's bytes: the read buffer is reused before the exchange is over. */
  private kept: Buffer = Buffer.alloc(0)

  constructor(strings: StringCache, maxFields: number) {
    super()
    this.strings = strings
    this.head = new Head(strings, maxFields)
  }

  get method(): string {
    return this.head.method
  }
  get path(): string {
    return this.head.path
  }
  get query(): string {
    return this.head.query
  }
  get authority(): string {
    return this.head.authority
  }
  get protocol(): string {
    return this.head.minor === 0 ? 'HTTP/1.0' : 'HTTP/1.1'
  }
  get isIdempotent(): boolean {
    return idempotent[this.head.methodId] === true
  }
  get hasContent(): boolean {
    return this.head.body !== BodyKind.none
  }
  get contentLength(): number {
    return this.head.body === BodyKind.none ? 0 : this.head.contentLength
  }
  get asksUpgrade(): boolean {
    return this.head.upgradesToWebSocket
  }
  get takesTrailers(): boolean {
    return this.head.acceptsTrailers
  }
  get endsHere(): boolean {
    return this.head.maxForwards === 0 && this.head.methodId === Method.options
  }
  get wire(): Head {
    return this.head
  }

  /** R3: a target is ASCII. */
  copyTarget(into: Uint8Array, at: number, most: number): number {
    const { buf, pathEnd, pathStart, queryEnd, queryStart } = this.head
    const end = queryEnd > queryStart ? queryEnd : pathEnd
    const length = end - pathStart
    if (length > most) return -1
    for (let index = 0; index < length; index++) into[at + index] = buf[pathStart + index]!
    return length
  }

  header(name: string): string | undefined {
    return this.head.header(name)
  }

  headerValues(name: string): string | undefined {
    return this.head.headerValues(name)
  }

  countVia(name: string): number {
    return this.head.find(Field.via) < 0 ? 0 : this.head.countVia(name)
  }

  eachField(visit: FieldVisitor): void {
    visitFields(this.head, visit)
  }

  /** The head outlives the buffer into which it was read: a retry needs it. */
  keepHead(): void {
    const { head } = this
    const length = head.end - head.start
    if (length > this.kept.length) this.kept = Buffer.allocUnsafeSlow(Math.max(leastHeadBytes, length))
    head.buf.copy(this.kept, 0, head.start, head.end)
    head.moveTo(this.kept, 0)
  }

  copy(): Http1Request {
    const { head } = this
    const maxFields = head.fieldCount
    const copied = new Http1Request(this.strings, maxFields)
    this.tell(copied)
    const bytes = Buffer.from(head.buf.subarray(head.start, head.end))
    const { length } = bytes
    const limits = { maxRequestLineBytes: length, maxHeadBytes: length, maxFields }
    readRequest(copied.head, bytes, 0, length, limits)
    return copied
  }

  reset(): void {
    this.head.reset()
    this.isNamedByHost = false
  }
}
