/** Messages of no protocol: what another codec would hand over. */
import type { FieldVisitor, Fields, ReplyMessage, RequestMessage } from '../../agent/worker/forward/streams.ts'

export interface RequestParts {
  readonly method?: string
  readonly path?: string
  readonly query?: string
  readonly fields?: Fields
  /** 0 = no content, -1 = unknown. */
  readonly contentLength?: number
  readonly takesTrailers?: boolean
  readonly asksUpgrade?: boolean
}

export class PlainRequest implements RequestMessage {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly authority = 'orders'
  readonly scheme = 'http'
  readonly localPort = 20_000
  readonly sourceAddress = '127.0.0.1'
  readonly source = undefined
  isNamedByHost = false
  readonly namedPort = 0
  readonly protocol = 'PLAIN'
  readonly isIdempotent: boolean
  readonly contentLength: number
  readonly callerTimeoutMs = -1
  readonly speaks = null
  readonly asksUpgrade: boolean
  readonly takesTrailers: boolean
  readonly endsHere = false
  readonly wire = null
  private readonly fields: Fields

  constructor(parts: RequestParts = {}) {
    this.method = parts.method ?? 'GET'
    this.path = parts.path ?? '/'
    this.query = parts.query ?? ''
    this.fields = parts.fields ?? []
    this.contentLength = parts.contentLength ?? 0
    this.takesTrailers = parts.takesTrailers ?? false
    this.asksUpgrade = parts.asksUpgrade ?? false
    this.isIdempotent = ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'].includes(this.method)
  }

  get hasContent(): boolean {
    return this.contentLength !== 0
  }
  header(name: string): string | undefined {
    return this.fields.find(([known]) => known === name)?.[1]
  }
  headerValues(name: string): string | undefined {
    const values = this.fields.filter(([known]) => known === name).map(([, value]) => value)
    return values.length === 0 ? undefined : values.join(',')
  }
  countVia(): number {
    return 0
  }
  eachField(visit: FieldVisitor): void {
    for (const [name, value] of this.fields) visit(name, value)
  }
  copy(): RequestMessage {
    return this
  }
}

export class PlainReply implements ReplyMessage {
  readonly status: number
  readonly hasContent: boolean
  readonly contentLength: number
  readonly wire = null
  private readonly fields: Fields

  constructor(parts: { status: number; fields?: Fields; contentLength?: number; hasContent?: boolean }) {
    this.status = parts.status
    this.fields = parts.fields ?? []
    this.contentLength = parts.contentLength ?? -1
    this.hasContent = parts.hasContent ?? this.contentLength !== 0
  }

  header(name: string): string | undefined {
    return this.fields.find(([known]) => known === name)?.[1]
  }
  eachField(visit: FieldVisitor): void {
    for (const [name, value] of this.fields) visit(name, value)
  }
}
