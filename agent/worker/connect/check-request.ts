import type { FieldVisitor, RequestEdits, RequestMessage } from '../forward/streams.ts'

/** The question of an active check: a GET that no caller sent. */
export class CheckRequest implements RequestMessage {
  readonly method = 'GET'
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
  readonly hasContent = false
  readonly contentLength = 0
  readonly asksUpgrade = false
  readonly takesTrailers = false
  readonly endsHere = false
  readonly wire = null

  /** `target`: path, and a query where there is one. */
  constructor(authority: string, target: string) {
    const mark = target.indexOf('?')
    this.authority = authority
    this.path = mark < 0 ? target : target.slice(0, mark)
    this.query = mark < 0 ? '' : target.slice(mark + 1)
  }

  header(name: string): string | undefined {
    return name === 'user-agent' ? userAgent : undefined
  }

  headerValues(name: string): string | undefined {
    return this.header(name)
  }

  countVia(): number {
    return 0
  }

  eachField(visit: FieldVisitor): void {
    visit('user-agent', userAgent)
  }

  copy(): RequestMessage {
    return this
  }
}

const userAgent = 'hostmesh-check'

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
