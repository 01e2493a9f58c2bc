import type { RpcProtocol } from '../../../../contracts/protocols.ts'
import { ViewBehind } from '../../route/view-behind.ts'
import type { FieldVisitor, RequestMessage } from '../streams.ts'

/** Fields that say how the call came, and mean nothing to an application of gRPC. */
const left: ReadonlySet<string> = new Set(['x-grpc-web', 'content-type', 'accept'])

/** A call in gRPC-Web, as an application of gRPC is told of it. */
export class WebRequest extends ViewBehind<RequestMessage> implements RequestMessage {
  readonly wire = null
  readonly takesTrailers = true
  readonly asksUpgrade = false
  readonly speaks: RpcProtocol | null = null
  private readonly contentType: string
  private readonly isText: boolean

  /** `contentType`: for the application. `isText`: the content came in base64, so that its length is another one. */
  constructor(base: RequestMessage, contentType: string, isText: boolean) {
    super(base)
    this.contentType = contentType
    this.isText = isText
  }

  get protocol(): string {
    return this.base.protocol
  }
  get isIdempotent(): boolean {
    return this.base.isIdempotent
  }
  get hasContent(): boolean {
    return this.base.hasContent
  }
  get contentLength(): number {
    return this.isText ? -1 : this.base.contentLength
  }
  get callerTimeoutMs(): number {
    return this.base.callerTimeoutMs
  }
  get endsHere(): boolean {
    return this.base.endsHere
  }

  header(name: string): string | undefined {
    if (name === 'content-type') return this.contentType
    return left.has(name) ? undefined : this.base.header(name)
  }

  headerValues(name: string): string | undefined {
    if (name === 'content-type') return this.contentType
    return left.has(name) ? undefined : this.base.headerValues(name)
  }

  countVia(name: string): number {
    return this.base.countVia(name)
  }

  eachField(visit: FieldVisitor): void {
    visit('content-type', this.contentType)
    this.base.eachField((name, value) => {
      if (!left.has(name)) visit(name, value)
    })
  }

  copy(): WebRequest {
    return new WebRequest(this.base.copy(), this.contentType, this.isText)
  }
}
