import { takeFailed } from '../../../../native/kernel-pipe.ts'
import { BodyReader } from '../../../../http1/body-reader.ts'
import { Head } from '../../../../http1/head.ts'
import { readReply } from '../../../../http1/read-reply.ts'
import { trailerFields } from '../../../../http1/trailers.ts'
import { BodyKind, Method } from '../../../../http1/types.ts'
import { Outcome } from '../../forward/streams.ts'
import type {
  Fields,
  GivenLink,
  RequestEdits,
  RequestMessage,
  UpstreamOwner,
  UpstreamStream,
} from '../../forward/streams.ts'
import { Spares } from '../../transport/spares.ts'
import { Fate } from '../../transport/transport.ts'
import type { TransportOwner } from '../../transport/transport.ts'
import { readBufferBytes } from '../../transport/transport.ts'
import { BulkReply } from './bulk-reply.ts'
import { ContentWriter } from './content-writer.ts'
import type { Http1Deps } from './deps.ts'
import { tallyFault } from './limit-tallies.ts'
import { Http1Reply } from './reply-message.ts'
import { EndpointStream } from '../endpoint-stream.ts'

const Phase = { rest: 0, head: 1, content: 2, ended: 3, switched: 4 } as const
type Phase = (typeof Phase)[keyof typeof Phase]

/** The connection under a stream. */
export interface StreamLink extends GivenLink {
  /** The stream has ended as it should. */
  freed(): void
  /** The stream has ended in a way after which no request must follow. */
  discard(): void
}

/**
 * One request over a connection to an endpoint, and its reply. Reused for one request after another, over whatever
 * connection; an idle connection holds none.
 */
export class Http1UpstreamStream extends EndpointStream<StreamLink> implements UpstreamStream, TransportOwner {
  private readonly deps: Http1Deps
  private readonly store: Spares<Http1UpstreamStream>
  private readonly head: Head
  private readonly body: BodyReader = new BodyReader()
  private readonly reply: Http1Reply
  private readonly writer: ContentWriter
  private readonly bulk: BulkReply
  private phase: Phase = Phase.rest
  private methodId: Method = Method.other
  private asksUpgrade = false
  private isIdempotent = false
  /** Bytes of the request that were handed to the connection. */
  private sentBytes = 0
  private hasSentAll = false
  /** The connection may carry another request when this one is over (R38). */
  private isReusable = false
  /** The request cannot be said; nothing of it is written. */
  private isMute = false
  /** Start of a reply head that is not whole. */
  private held: Buffer | null = null

  constructor(deps: Http1Deps, store: Spares<Http1UpstreamStream>) {
    super()
    this.deps = deps
    this.store = store
    this.head = new Head(deps.strings, deps.settings.limits.maxFields)
    this.reply = new Http1Reply(this.head)
    this.writer = new ContentWriter(deps.output)
    this.bulk = new BulkReply(deps.bulk)
  }

  begin(link: StreamLink, owner: UpstreamOwner, isReused: boolean): void {
    this.use(link, owner, isReused)
    this.sentBytes = 0
    this.hasSentAll = false
    this.isReusable = false
    this.isMute = false
    this.phase = Phase.head
    link.transport.owner = this
  }

  // ---- the request

  send(request: RequestMessage, edits: RequestEdits): void {
    const { output, settings } = this.deps
    const { wire } = request
    this.methodId = wire instanceof Head ? wire.methodId : request.method === 'HEAD' ? Method.head : Method.other
    this.isIdempotent = request.isIdempotent
    this.asksUpgrade = edits.keepsAsks && request.asksUpgrade
    this.writer.isChunked = request.hasContent && request.contentLength < 0
    if (!settings.requests.write(output, request, edits, settings.limits)) {
      this.breakSoon(Outcome.protocol, 'not sayable in HTTP/1.1')
    }
  }

  /** Nothing was written. Told in a later turn, as every end is. */
  private breakSoon(outcome: Outcome, reason: string): void {
    const { serial } = this
    this.isMute = true
    setImmediate(() => {
      if (this.serial === serial) this.broken(outcome, reason)
    })
  }

  content(buf: Buffer, from: number, to: number): void {
    if (!this.isMute) this.writer.content(buf, from, to)
  }

  end(trailers: Fields | null): void {
    if (!this.isMute) this.writer.end(trailers)
    this.hasSentAll = true
  }

  flush(): boolean {
    const { output } = this.deps
    if (output.length === 0) return true
    if (this.sentBytes === 0 && !this.isIdempotent) return this.beginOnce()
    this.sentBytes += output.length
    return this.link!.transport.write(output)
  }

  /**
   * The first bytes of a request that must not be executed twice: nothing is written where the endpoint's FIN is there
   * already. Behind the write no FIN proves anything.
   */
  private beginOnce(): boolean {
    const { output } = this.deps
    const { transport } = this.link!
    if (transport.hasPeerEnded) {
      output.clear()
      // what it said before its FIN is no reply to this
      transport.pauseReading()
      this.mayBeRead = false
      this.breakSoon(Outcome.reset, 'closed by the endpoint')
      return true
    }
    this.sentBytes += output.length
    return transport.write(output)
  }

  // ---- the reply

  onBytes(bytes: Buffer, length: number): void {
    this.deps.clock.refresh()
    this.hasReply = true
    let buf = bytes
    let end = length
    if (this.held !== null) {
      buf = Buffer.concat([this.held, bytes.subarray(0, length)])
      end = buf.length
      this.head.moveTo(buf, 0)
      this.held = null
    }
    if (this.phase === Phase.head) {
      const at = this.readHead(buf, end)
      if (at < 0) return
      this.readContent(buf, at, end)
    } else {
      this.readContent(buf, 0, end)
    }
    if (this.phase === Phase.content) this.beginBulk(length)
  }

  /** Answers where the content begins, or -1 when there is nothing more to do with these bytes. */
  private readHead(buf: Buffer, end: number): number {
    const { head, reply } = this
    const { settings, tallies } = this.deps
    const { limits } = settings
    const owner = this.owner!
    const { serial } = this
    let at = 0
    for (;;) {
      if (at === end) return -1
      const taken = readReply(head, buf, at, end, limits, this.methodId, this.asksUpgrade)
      if (taken < 0) {
        tallyFault(tallies, taken)
        this.broken(Outcome.protocol, 'malformed reply')
        return -1
      }
      if (taken === 0) {
        this.held = Buffer.from(buf.subarray(at, end))
        head.moveTo(this.held, 0)
        return -1
      }
      at += taken
      if (head.status >= 200 || head.status === 101) break
      if (++this.interims > limits.maxInterimReplies) {
        tallies.interimLimits++
        this.broken(Outcome.protocol, 'too many interim replies')
        return -1
      }
      owner.onInterim(reply)
      if (this.serial !== serial) return -1
    }
    if (head.status === 101) {
      this.phase = Phase.switched
      owner.onSwitch(reply, buf, at, end)
      return -1
    }
    this.phase = Phase.content
    // Whether the caller takes trailers is its own codec's business.
    this.body.begin(head.body, head.contentLength, true, true, limits)
    if (owner.onReply(reply) === 'discard') {
      this.discard(buf, at, end)
      return -1
    }
    return this.serial === serial ? at : -1
  }

  private readContent(buf: Buffer, start: number, end: number): void {
    const { body, serial } = this
    const owner = this.owner!
    let at = start
    while (at < end && !body.isDone) {
      const taken = body.feed(buf, at, end)
      if (taken < 0) {
        tallyFault(this.deps.tallies, taken)
        this.broken(Outcome.protocol, 'malformed reply body')
        return
      }
      at += taken
      for (let run = 0; run < body.runCount; run++) {
        owner.onContent(buf, body.runs[run * 2]!, body.runs[run * 2 + 1]!)
        // whoever wants no more of it has ended it
        if (this.serial !== serial) return
      }
    }
    if (body.isDone) this.whole(at === end)
    else owner.onPause()
  }

  private whole(isExact: boolean): void {
    const { body, head } = this
    this.phase = Phase.ended
    this.isReusable = isExact && head.keepsAlive && body.kind !== BodyKind.untilClose
    this.owner!.onEnd(body.tail === null ? null : trailerFields(body.tail))
  }

  /** What of the content lies behind the head decides over the connection. */
  private discard(buf: Buffer, start: number, end: number): void {
    const { body, head } = this
    let at = start
    while (at < end && !body.isDone) {
      const taken = body.feed(buf, at, end)
      if (taken <= 0) break
      at += taken
    }
    this.isReusable = body.isDone && at === end && head.keepsAlive && body.kind !== BodyKind.untilClose
    this.release()
  }

  // ---- content of known length that need not come here

  private beginBulk(length: number): void {
    if (length !== readBufferBytes) return
    const target = this.owner!.contentTarget
    if (target !== null) this.bulk.begins(this.body, this.link!.transport, target)
  }

  /** More of the content waits at the connection, and is moved on without being read. */
  onReadable(): void {
    this.deps.clock.refresh()
    const owner = this.owner!
    const { transport } = this.link!
    const target = owner.contentTarget
    const moved = target === null ? 0 : this.bulk.move(this.body, transport, target)
    if (target === null) transport.awaitReadable(false)
    if (moved === takeFailed) {
      this.broken(Outcome.reset, 'ECONNRESET')
    } else if (moved > 0) {
      owner.onMoved(moved)
    }
  }

  // ---- the end

  onEnd(): void {
    this.deps.clock.refresh()
    if (this.phase === Phase.content && this.body.endOfInput()) this.whole(false)
    else this.closedByEndpoint()
  }

  /** Without a whole reply. Where a repeat does no harm, a connection that looks closed while idle is taken for one. */
  private closedByEndpoint(): void {
    const fate = this.hasReply ? Fate.mayBeRead : this.link!.transport.fateOf(this.sentBytes)
    this.mayBeRead = fate === Fate.mayBeRead || (fate === Fate.unacknowledged && !this.isIdempotent)
    this.broken(Outcome.reset, 'closed by the endpoint')
  }

  onClosed(reason: string): void {
    this.deps.clock.refresh()
    this.mayBeRead = this.link!.transport.fateOf(this.sentBytes) !== Fate.unread
    this.broken(Outcome.reset, reason)
  }

  onDrained(): void {
    this.deps.clock.refresh()
    this.owner!.onDrained()
  }

  pause(): void {
    this.link!.transport.pauseReading()
  }

  resume(): void {
    this.bulk.release()
    this.link!.transport.resumeReading()
  }

  release(): void {
    const link = this.link!
    const isReusable = this.isReusable && this.hasSentAll && link.transport.pendingBytes === 0
    this.rest()
    if (isReusable) link.freed()
    else link.discard()
  }

  abandon(): void {
    const { link } = this
    if (link === null) return
    this.rest()
    link.discard()
  }

  giveTransport(): GivenLink {
    const link = this.link!
    this.rest()
    return link
  }

  private broken(outcome: Outcome, reason: string): void {
    const owner = this.owner!
    const link = this.link!
    // The owner reads what became of it before the stream serves another request.
    this.phase = Phase.rest
    this.owner = null
    this.link = null
    link.discard()
    owner.onBroken(outcome, reason)
    this.rest()
  }

  private rest(): void {
    this.serial++
    this.phase = Phase.rest
    this.link = null
    this.owner = null
    this.held = null
    this.bulk.release()
    this.head.reset()
    this.store.give(this)
  }
}

/** Streams for reuse. */
export function http1UpstreamStreams(deps: Http1Deps): Spares<Http1UpstreamStream> {
  return new Spares((home) => new Http1UpstreamStream(deps, home), null)
}
