/**
 * A call in gRPC-Web (grpc/grpc doc/PROTOCOL-WEB.md), which browsers speak, before an application of gRPC: other
 * content types; base64 in both directions where the caller wants text; the trailers of the reply as a last frame of
 * its content.
 */
import { grpcFrame, grpcType } from '../../../../contracts/grpc-wire.ts'
import type { Answer, DownstreamStream, Fields, FieldVisitor, ReplyMessage, RequestMessage } from '../streams.ts'
import { Base64Reader } from './base64-pieces.ts'
import { WebRequest } from './web-request.ts'

const webType = 'application/grpc-web'
const textType = 'application/grpc-web-text'
/** Flag of the frame that carries the trailers. */
const trailersFlag = 0x80
const noBytes = Buffer.alloc(0)

/** What stands behind `type` in a content type, `+proto` for example; undefined = it is another one. */
export function codecBehind(type: string, contentType: string): string | undefined {
  const next = contentType.charAt(type.length)
  // asked of every POST: what cannot be it is left before a copy is made
  if (contentType.length < type.length || (next !== '' && next !== '+' && next !== ';')) return undefined
  return contentType.toLowerCase().startsWith(type) ? contentType.slice(type.length) : undefined
}

/** null = the request is no call in gRPC-Web. */
export function readWebCall(request: RequestMessage, contentType: string): WebCall | null {
  const binary = codecBehind(webType, contentType)
  const codec = binary ?? codecBehind(textType, contentType)
  return codec === undefined ? null : new WebCall(request, codec, binary === undefined)
}

/** Lives as long as its exchange's request. */
export class WebCall {
  /** For the application. */
  readonly request: WebRequest
  /** It is led to an application of gRPC, so that content is turned from the one into the other. */
  isOn = false
  /** The content is no base64: nothing more of it may be passed on. */
  isBroken = false
  /** The reply is one of gRPC; another one passes as it is. */
  isReplyOfGrpc = false
  private readonly isText: boolean
  private readonly wantsText: boolean
  private readonly reader = new Base64Reader()
  private hasContent = false
  private onBroken: () => void = () => {}

  /** `codec`: what stands behind the type. */
  constructor(request: RequestMessage, codec: string, isText: boolean) {
    this.isText = isText
    this.wantsText = isText || request.header('accept')?.toLowerCase().startsWith(textType) === true
    this.request = new WebRequest(request, `${grpcType}${codec}`, isText)
  }

  // ---- the request

  /** It is led to an application of gRPC. `onBroken`: its content is malformed; told once, in a later turn. */
  begin(onBroken: () => void): void {
    this.isOn = true
    this.onBroken = onBroken
  }

  /** Content is to be decoded before it goes on. */
  get decodes(): boolean {
    return this.isOn && this.isText
  }

  /** Content for the application, in memory of its own; empty once it is broken. */
  decode(buf: Buffer, from: number, to: number): Buffer {
    const bytes = this.isBroken ? null : this.reader.take(buf, from, to)
    if (bytes !== null) return bytes
    this.fail()
    return noBytes
  }

  /** The request is whole. */
  endContent(): void {
    if (this.decodes && !this.reader.isBetween) this.fail()
  }

  private fail(): void {
    if (this.isBroken) return
    this.isBroken = true
    setImmediate(this.onBroken)
  }

  // ---- the reply

  /** The head for the caller. */
  reply(reply: ReplyMessage): ReplyMessage {
    const codec = codecBehind(grpcType, reply.header('content-type') ?? '')
    this.hasContent = reply.hasContent
    this.isReplyOfGrpc = this.isOn && codec !== undefined && reply.status === 200
    return this.isReplyOfGrpc ? new WebReply(reply, this.typeOf(codec!)) : reply
  }

  private typeOf(codec: string): string {
    return `${this.wantsText ? textType : webType}${codec}`
  }

  content(stream: DownstreamStream, buf: Buffer, from: number, to: number): void {
    if (this.isReplyOfGrpc && this.wantsText) {
      const text = Buffer.from(buf.toString('base64', from, to), 'latin1')
      stream.content(text, 0, text.length)
    } else {
      stream.content(buf, from, to)
    }
  }

  /** A reply without content has its status in its head. */
  end(stream: DownstreamStream, trailers: Fields | null): void {
    if (!this.isReplyOfGrpc) return stream.end(trailers)
    if (this.hasContent && trailers !== null) {
      const frame = trailersFrame(trailers)
      this.content(stream, frame, 0, frame.length)
    }
    stream.end(null)
  }

  /** An answer of ours, which has its status in its head. */
  answer(answer: Answer): Answer {
    const type = this.typeOf('+proto')
    const fields = answer.fields.map(([name, value]) => [name, value === grpcType ? type : value] as const)
    return { ...answer, fields }
  }
}

function trailersFrame(trailers: Fields): Buffer {
  const text = Buffer.from(trailers.map(([name, value]) => `${name}: ${value}\r\n`).join(''), 'latin1')
  return grpcFrame(text, trailersFlag)
}

/** A reply of gRPC, as a caller of gRPC-Web is told of it. */
class WebReply implements ReplyMessage {
  readonly wire = null
  private readonly base: ReplyMessage
  private readonly contentType: string

  constructor(base: ReplyMessage, contentType: string) {
    this.base = base
    this.contentType = contentType
  }

  get status(): number {
    return this.base.status
  }
  get hasContent(): boolean {
    return this.base.hasContent
  }
  /** Trailers follow whatever was announced. */
  get contentLength(): number {
    return this.hasContent ? -1 : 0
  }

  header(name: string): string | undefined {
    return name === 'content-type' ? this.contentType : this.base.header(name)
  }

  eachField(visit: FieldVisitor): void {
    visit('content-type', this.contentType)
    this.base.eachField((name, value) => {
      if (name !== 'content-type') visit(name, value)
    })
  }
}
