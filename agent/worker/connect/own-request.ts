import { grpcType } from '../../../contracts/grpc-wire.ts'
import type { FieldVisitor, Fields, RequestEdits, RequestMessage } from '../forward/streams.ts'

/** A request that no caller sent: the mesh asks for itself. */
export interface OwnQuestion {
  readonly method: string
  readonly authority: string
  /** Path, and a query where there is one. */
  readonly target: string
  /** Names in lower case; nothing that frames the content. */
  readonly fields: Fields
  /** Bytes of content. */
  readonly contentLength: number
}

export class OwnRequest implements RequestMessage {
  readonly method: string
  readonly path: string
  readonly query: string
  readonly authority: string
  readonly scheme = 'http'
  readonly localPort = 0
  isNamedByHost = false
  readonly namedPort = 0
  readonly sourceAddress = ''
  readonly source = undefined
  readonly protocol = 'HTTP/1.1'
  readonly isIdempotent = true
  readonly hasContent: boolean
  readonly contentLength: number
  readonly callerTimeoutMs = -1
  readonly speaks = null
  readonly asksUpgrade = false
  readonly takesTrailers: boolean
  readonly endsHere = false
  readonly wire = null
  private readonly fields: Fields

  constructor({ authority, contentLength, fields, method, target }: OwnQuestion) {
    this.method = method
    this.hasContent = contentLength > 0
    this.contentLength = contentLength
    this.takesTrailers = fields.some(([name, value]) => name === 'content-type' && value === grpcType)
    const mark = target.indexOf('?')
    this.authority = authority
    this.path = mark < 0 ? target : target.slice(0, mark)
    this.query = mark < 0 ? '' : target.slice(mark + 1)
    this.fields = fields
  }

  header(name: string): string | undefined {
    return this.fields.find(([one]) => one === name)?.[1]
  }

  headerValues(name: string): string | undefined {
    return this.header(name)
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

export const noEdits: RequestEdits = {
  route: null,
  destination: null,
  target: null,
  authority: null,
  source: '',
  trace: null,
  requestId: null,
  grpcTimeout: null,
  keepsAsks: false,
}
