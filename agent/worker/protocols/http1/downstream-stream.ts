import { BodyReader } from '../../../../http1/body-reader.ts'
import { httpFault } from '../../../../http1/fault.ts'
import { trailerFields } from '../../../../http1/trailers.ts'
import { Method, ReplyFraming } from '../../../../http1/types.ts'
import type {
  Answer,
  DownstreamStream,
  Fields,
  HeaderEdits,
  OpenExchange,
  ReplyEdits,
  ReplyMessage,
  StreamOwner,
} from '../../forward/streams.ts'
import type { Accepted } from '../../listen/accepted.ts'
import type { LiveStream } from '../../listen/movable.ts'
import { Spares } from '../../transport/spares.ts'
import type { Transport } from '../../transport/transport.ts'
import { ContentWriter } from './content-writer.ts'
import type { Http1Deps } from './deps.ts'
import { tallyFault } from './limit-tallies.ts'
import { Http1Request } from './request-message.ts'
import { CallerStream } from '../caller-stream.ts'
import type { CallingConnection } from '../caller-stream.ts'

/** The connection under a stream. */
export interface StreamConnection extends CallingConnection {
  readonly accepted: Accepted
  readonly transport: Transport
  readonly isDraining: boolean
  /** Requests before this one. */
  readonly served: number
  /** Content waits for somebody who can take it. */
  readonly holdsContent: boolean
  /** Not read, because an endpoint does not take what came. */
  readonly isHeldBack: boolean
  stream: Http1DownstreamStream | null
  pauseReading(): void
  resumeReading(): void
  continueSoon(): void
  /** Writes what is in the output; false = the caller reads slowly. */
  flush(): boolean
  streamDone(closes: boolean): void
  breakOff(needsReset: boolean): void
  giveTransport(): Buffer | null
}

/**
 * One request of a connection and the reply to it. Taken from the store when the first byte of a head comes and given
 * back after the reply, so that an idle connection holds neither head nor body reader. Reused with its exchange.
 */
export class Http1DownstreamStream extends CallerStream<StreamConnection> implements DownstreamStream {
  readonly streamId = 0
  readonly request: Http1Request
  readonly body: BodyReader = new BodyReader()
  readonly owner: StreamOwner
  private readonly deps: Http1Deps
  private readonly store: Spares<Http1DownstreamStream>
  private readonly writer: ContentWriter
  /** Whether the head is whole, so that its facts may be read. */
  private isRead = false
  /** Nothing that follows can be read as a request. */
  private isBroken = false
  /** The connection ends behind the reply. */
  private closes = false
  private framing: ReplyFraming = ReplyFraming.same
  private hasLength = false
  /** Something of the reply went to the caller. */
  private hasPassed = false

  constructor(deps: Http1Deps, store: Spares<Http1DownstreamStream>, openExchange: OpenExchange) {
    super()
    this.deps = deps
    this.store = store
    this.request = new Http1Request(deps.strings, deps.settings.limits.maxFields)
    this.writer = new ContentWriter(deps.output)
    this.owner = openExchange(this)
  }

  get accepted(): Accepted {
    return this.connection.accepted
  }

  // ---- the request

  /** The head is whole. */
  beginRequest(): void {
    const { head } = this.request
    this.isRead = true
    this.body.begin(head.body, head.contentLength, true, true, this.deps.settings.limits)
  }

  /** What came with the head was told. */
  start(): void {
    this.request.keepHead()
    this.owner.start()
  }

  /** Tells what `buf[start..end)` holds of the content. Answers the number of bytes taken, or a fault below 0. */
  takeContent(buf: Buffer, start: number, end: number): number {
    const { body, owner } = this
    let at = start
    while (at < end && !body.isDone) {
      const taken = body.feed(buf, at, end)
      if (taken < 0) return taken
      if (taken === 0) break
      at += taken
      for (let run = 0; run < body.runCount; run++) owner.onContent(buf, body.runs[run * 2]!, body.runs[run * 2 + 1]!)
    }
    if (body.isDone) this.endRequest()
    return at - start
  }

  endRequest(): void {
    const { tail } = this.body
    this.owner.onContentEnd(tail === null ? null : trailerFields(tail))
  }

  refuseHead(fault: number): void {
    tallyFault(this.deps.tallies, fault)
    this.isBroken = true
    this.owner.refuseHead(httpFault(fault))
  }

  refuseContent(fault: number): void {
    tallyFault(this.deps.tallies, fault)
    this.isBroken = true
    this.owner.refuseContent(httpFault(fault))
  }

  headTimeOut(): void {
    this.isBroken = true
    this.owner.headTimeOut()
  }

  pause(): void {
    this.connection.pauseReading()
  }

  get isPaused(): boolean {
    return this.connection.isHeldBack
  }

  resume(): void {
    this.connection.resumeReading()
  }

  resumeSoon(): void {
    if (this.connection.holdsContent) this.connection.continueSoon()
  }

  // ---- the reply

  /** R21: interim replies go to HTTP/1.1 callers only. */
  interim(reply: ReplyMessage, edits: ReplyEdits): void {
    if (this.request.head.minor === 0) return
    this.framing = ReplyFraming.same
    if (this.writeHead(reply, edits)) this.connection.flush()
  }

  begin(reply: ReplyMessage, edits: ReplyEdits): boolean {
    this.framing = this.framingOf(reply)
    this.hasPassed = false
    this.hasLength = reply.hasContent && reply.contentLength >= 0
    this.closes = this.mustClose || this.framing === ReplyFraming.untilClose
    this.writer.isChunked = reply.hasContent && !this.hasLength && this.framing !== ReplyFraming.untilClose
    return this.writeHead(reply, edits)
  }

  private writeHead(reply: ReplyMessage, edits: ReplyEdits): boolean {
    const { output, settings } = this.deps
    const { acceptsTrailers, minor } = this.request.head
    const { framing, closes } = this
    return settings.replies.write(output, reply, edits, framing, closes, minor, acceptsTrailers, settings.limits)
  }

  /**
   * How the end of the content is told (R27): a caller of HTTP/1.0 knows no chunks, one of HTTP/1.1 is not left to take
   * a close for the end.
   */
  private framingOf(reply: ReplyMessage): ReplyFraming {
    if (!reply.hasContent || reply.contentLength >= 0) return ReplyFraming.same
    return this.request.head.minor === 0 ? ReplyFraming.untilClose : ReplyFraming.chunked
  }

  /**
   * Whether the connection cannot be used for another request. Content that is still coming is not waited for (R25).
   */
  private get mustClose(): boolean {
    return this.isBroken || !this.request.head.keepsAlive || !this.body.isDone || this.connection.isDraining
  }

  content(buf: Buffer, from: number, to: number): void {
    this.writer.content(buf, from, to)
  }

  end(trailers: Fields | null): void {
    this.writer.end(this.request.head.acceptsTrailers ? trailers : null)
  }

  flush(): boolean {
    this.hasPassed = true
    return this.connection.flush()
  }

  answer(answer: Answer, edits: readonly HeaderEdits[] | null): void {
    const { output, settings } = this.deps
    const { head } = this.request
    this.closes ||= this.mustClose
    // also of a head that is refused, as soon as its method was read
    const isHead = head.methodId === Method.head
    settings.replies.answer(output, answer, edits, isHead, this.closes, this.isRead ? head.minor : 1)
    this.connection.flush()
  }

  get contentTarget(): Transport | null {
    return this.hasLength ? this.connection.transport : null
  }

  dropUnflushed(): boolean {
    this.deps.output.clear()
    return !this.hasPassed
  }

  // ---- for an operator

  get ordinal(): number {
    return this.connection.served
  }

  get facts(): LiveStream['facts'] {
    return this.owner.facts
  }

  endBy(why: string): void {
    this.owner.endBy(why)
  }

  // ---- the end

  done(): void {
    const { closes, connection } = this
    this.letGo()
    connection.streamDone(closes)
  }

  breakOff(): void {
    const { connection } = this
    // Only a reset tells that a reply which ends with the connection is not whole.
    const needsReset = this.framing === ReplyFraming.untilClose
    this.letGo()
    connection.breakOff(needsReset)
  }

  giveTransport(): { readonly transport: Transport; readonly received: Buffer | null } {
    const { connection } = this
    this.letGo()
    return { transport: connection.transport, received: connection.giveTransport() }
  }

  /** The caller is gone. */
  cancel(): void {
    this.owner.cancel()
    this.letGo()
  }

  /** There was no whole head. */
  discard(): void {
    this.owner.discard()
    this.letGo()
  }

  private letGo(): void {
    this.connection.stream = null
    this.request.reset()
    this.isRead = false
    this.isBroken = false
    this.closes = false
    this.framing = ReplyFraming.same
    this.hasLength = false
    this.store.give(this)
  }
}

/** Streams for reuse, each with its exchange. */
export function http1DownstreamStreams(deps: Http1Deps, openExchange: OpenExchange): Spares<Http1DownstreamStream> {
  return new Spares(
    (home) => new Http1DownstreamStream(deps, home, openExchange),
    (stream) => stream.owner.retire(),
  )
}
