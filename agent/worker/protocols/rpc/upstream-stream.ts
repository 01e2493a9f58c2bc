import { Outcome } from '../../forward/streams.ts'
import type {
  Fields,
  GivenLink,
  RequestEdits,
  RequestMessage,
  UpstreamOwner,
  UpstreamStream,
} from '../../forward/streams.ts'
import { headers } from '../../../../contracts/words.ts'
import type { RpcFrame } from '../../../../rpc/frame.ts'
import { requestEdits } from './edits.ts'
import { maxSpareStreams } from './limits.ts'
import { RpcReply, silence } from './reply-message.ts'
import { RpcHead } from './rpc-head.ts'
import { RpcRequest } from './request-message.ts'
import type { RpcCodec } from '../../../../rpc/codec.ts'
import { writeFrame } from './write-frame.ts'
import type { RpcWriter } from './writer.ts'
import { Spares } from '../../transport/spares.ts'

/** The connection under a stream. */
export interface StreamLink {
  readonly codec: RpcCodec
  readonly writer: RpcWriter
  /** An id of the link's own for the stream, under which its reply comes. */
  enter(stream: RpcUpstreamStream): number
  /** The stream is over, whether it had an id or not. */
  leave(stream: RpcUpstreamStream): void
  /** Calls `wasWritten` of the stream when what it wrote is in the kernel. */
  watchWrite(stream: RpcUpstreamStream): void
  /** Asks the endpoint whether it is there, as a request of this stream. */
  ask(stream: RpcUpstreamStream): boolean
}

/** One request to an endpoint in private RPC, and its reply. Reused for one request after another, over any link. */
export class RpcUpstreamStream implements UpstreamStream {
  isReused = false
  hasReply = false
  mayBeRead = false
  readonly isResetAlone = false
  /** Of the link; 0 = none. */
  id = 0
  /** Its place among the streams of the link; -1 = none. */
  slot = -1
  /** What the link had written before it. */
  sentAt = 0
  private link: StreamLink | null = null
  private owner: UpstreamOwner | null = null
  private readonly store: Spares<RpcUpstreamStream>
  private reply: RpcReply | null = null
  /** Grows with each use and each end, so that what runs sees that it was ended meanwhile. */
  private serial = 0

  constructor(store: Spares<RpcUpstreamStream>) {
    this.store = store
  }

  begin(link: StreamLink, owner: UpstreamOwner, isReused: boolean): void {
    this.link = link
    this.owner = owner
    this.isReused = isReused
    this.hasReply = false
    this.mayBeRead = true
    this.id = 0
    this.slot = -1
    this.serial++
  }

  // ---- the request

  send(request: RequestMessage, edits: RequestEdits): void {
    const link = this.link!
    const { wire } = request
    this.sentAt = link.writer.total
    if (wire === null && link.ask(this)) return
    if (!(wire instanceof RpcHead) || wire.codec !== link.codec || !(request instanceof RpcRequest)) {
      this.giveUp(`a request that cannot be said in ${link.codec.name}`)
      return
    }
    const saysOurs = request.header(headers.source) !== undefined || request.header(headers.route) !== undefined
    const changes = requestEdits(edits, saysOurs)
    const edited = changes === null ? null : wire.codec.edited(wire.bytes, wire.from, wire.to, wire.frame, changes)
    if (edited === null && saysOurs) {
      this.giveUp('words of the mesh, which cannot be taken out of this frame')
      return
    }
    if (edited === null) this.write(link, wire.bytes, wire.from, wire.to, wire.frame)
    else this.write(link, edited, 0, edited.length, wire.frame)
    if (request.isOneWay) link.watchWrite(this)
  }

  private write(link: StreamLink, bytes: Buffer, from: number, to: number, frame: RpcFrame): void {
    writeFrame(link.writer, link.codec, bytes, from, to, frame, 0, link.enter(this))
  }

  /** The endpoint must not get it, so nothing of it is said. Told in a later turn, as every end is. */
  private giveUp(why: string): void {
    const { serial } = this
    setImmediate(() => {
      if (this.serial !== serial) return
      this.mayBeRead = false
      this.broken(Outcome.protocol, why)
    })
  }

  content(): void {}
  end(_trailers: Fields | null): void {}

  flush(): boolean {
    return true
  }

  /** A request without a reply is over when it was written. */
  wasWritten(id: number): void {
    if (this.id !== id || this.owner === null) return
    const { owner, serial } = this
    if (owner.onReply(silence) === 'discard') this.finishDiscarded(serial)
    else if (this.serial === serial) owner.onEnd(null)
  }

  // ---- the reply

  /** The whole frame `buf[at..end)`. */
  onReply(codec: RpcCodec, buf: Buffer, at: number, end: number, frame: RpcFrame): void {
    const { owner, serial } = this
    const reply = (this.reply ??= new RpcReply(codec))
    const { wire } = reply
    wire.codec = codec
    wire.bytes = buf
    wire.from = at
    wire.to = end
    wire.frame.copyFrom(frame)
    this.hasReply = true
    if (owner!.onReply(reply) === 'discard') this.finishDiscarded(serial)
    else if (this.serial === serial) owner!.onEnd(null)
  }

  private finishDiscarded(serial: number): void {
    if (this.serial === serial) this.release()
  }

  pause(): void {}
  resume(): void {}

  // ---- the end

  release(): void {
    this.letGo()
    this.store.give(this)
  }

  abandon(): void {
    if (this.link === null) return
    this.letGo()
    this.store.give(this)
  }

  giveTransport(): GivenLink {
    throw new RangeError('a stream of private RPC was never switched')
  }

  /** Its connection has ended, or its request cannot be sent. */
  broken(outcome: Outcome, reason: string): void {
    const { owner } = this
    this.owner = null
    // The owner reads what became of it before the stream serves another request.
    owner!.onBroken(outcome, reason)
    this.letGo()
    this.store.give(this)
  }

  private letGo(): void {
    const { link } = this
    this.serial++
    this.link = null
    this.owner = null
    if (link === null) return
    link.leave(this)
    this.id = 0
    this.slot = -1
  }
}

/** Streams for reuse. */
export function rpcUpstreamStreams(): Spares<RpcUpstreamStream> {
  return new Spares((home) => new RpcUpstreamStream(home), null, maxSpareStreams)
}
