import { Field as FieldId } from '../../../../http1/field-names.ts'
import { tokenBytes } from '../../../../http1/byte-classes.ts'
import type { FieldVisitor, RequestMessage } from '../../forward/streams.ts'
import { CallerRequest } from '../caller.ts'
import { Http2Head } from './head.ts'

const idempotent: ReadonlySet<string> = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'TRACE'])
/**
 * Any will do: the endpoint's answer to it is for a WebSocket of HTTP/1.1, which the caller has not (RFC 8441 section
 * 5).
 */
const webSocketKey = 'aG9zdG1lc2gtcmZjODQ0MQ=='

const noHead = new Http2Head([], {
  method: '',
  scheme: '',
  authority: '',
  path: '',
  query: '',
  protocol: '',
  status: 0,
  contentLength: -1,
  takesTrailers: false,
  maxForwards: -1,
})

/**
 * The head of a request in HTTP/2. Reused, with its stream, for one request after another; the head itself lives as
 * long as somebody holds it. Extended CONNECT for a WebSocket is what a GET that asks for an upgrade is in HTTP/1.1.
 */
export class Http2Request extends CallerRequest implements RequestMessage {
  wire: Http2Head = noHead
  /** The message is over with its head. */
  isWhole = false
  /** Of gRPC it is told by its own field. */
  readonly callerTimeoutMs = -1
  readonly speaks = null
  readonly protocol = 'HTTP/2'

  get method(): string {
    return this.asksUpgrade ? 'GET' : this.wire.method
  }
  get path(): string {
    return this.wire.path
  }
  get query(): string {
    return this.wire.query
  }
  get authority(): string {
    return this.wire.authority
  }
  get isIdempotent(): boolean {
    return idempotent.has(this.wire.method)
  }
  get hasContent(): boolean {
    return !this.isWhole && !this.asksUpgrade
  }
  get contentLength(): number {
    return this.hasContent ? this.wire.contentLength : 0
  }
  get asksUpgrade(): boolean {
    return this.wire.protocol === 'websocket'
  }
  get takesTrailers(): boolean {
    return this.wire.takesTrailers
  }
  get endsHere(): boolean {
    return this.wire.maxForwards === 0 && this.wire.method === 'OPTIONS'
  }

  header(name: string): string | undefined {
    return this.wire.header(name)
  }

  headerValues(name: string): string | undefined {
    return this.wire.headerValues(name)
  }

  countVia(name: string): number {
    if (!this.wire.has(FieldId.via)) return 0
    const text = this.wire.headerValues('via')!.toLowerCase()
    let count = 0
    for (let from = text.indexOf(name); from >= 0; from = text.indexOf(name, from + 1)) {
      const before = from === 0 ? 0x20 : text.charCodeAt(from - 1)
      if (before === 0x20 && tokenBytes[text.charCodeAt(from + name.length)] !== 1) count++
    }
    return count
  }

  eachField(visit: FieldVisitor): void {
    this.wire.eachField(visit)
    if (this.asksUpgrade) visit('sec-websocket-key', webSocketKey)
  }

  copy(): Http2Request {
    const copied = new Http2Request()
    this.tell(copied)
    copied.wire = this.wire
    copied.isWhole = this.isWhole
    return copied
  }

  reset(): void {
    this.wire = noHead
    this.isWhole = false
    this.isNamedByHost = false
  }
}
