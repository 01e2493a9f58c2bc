/**
 * A relayed request at one address: writes what it is given, and reads the reply with the workers' codec to its end,
 * also when the address stopped taking the request (R25).
 */
import { BodyReader } from '../../http1/body-reader.ts'
import { chunkEnd, lastChunk, maxChunkHeadBytes, writeChunkHead } from '../../http1/chunks.ts'
import { Field } from '../../http1/field-names.ts'
import type { Head } from '../../http1/head.ts'
import { readReply } from '../../http1/read-reply.ts'
import { BodyKind, ReplyFraming } from '../../http1/types.ts'
import type { ErrorCode } from '../../contracts/errors.ts'
import type { LimitsSpec } from '../../contracts/snapshot.ts'
import { nothingDelivered } from '../../contracts/words.ts'
import type { RelayAddress } from './relay-addresses.ts'
import { Held } from './held.ts'
import type { RelayedHeads } from './relayed-heads.ts'
import type { Wire, WireOwner } from './wire.ts'

/** Whose attempt it is: what it asks, and what it says. */
export interface AttemptOwner {
  /** Head of the request. */
  readonly head: Head
  readonly limits: LimitsSpec
  /** The endpoint takes more of the request. */
  requestDrained(): void
  /** An interim reply, for callers that know them. */
  interim(lines: Buffer, status: number): void
  /** The first bytes of an answer came: the center lives. */
  answers(): void
  /** The center says that it sent the request nowhere. True when it is tried elsewhere: then the attempt is over. */
  goesElsewhere(): boolean
  /** Head of the final reply and what came of its body. */
  begin(lines: Buffer): void
  content(bytes: Buffer): void
  /** The reply is whole and written. */
  done(): void
  /** The endpoint granted the upgrade. `rest`: what it said behind its 101. */
  switched(lines: Buffer, rest: Buffer): void
  /** Before a final reply: the endpoint is gone, or what it says is none. */
  lost(code: ErrorCode, text: string): void
  /** In the middle of a reply: the caller must see it broken. `needsReset`: only a reset tells. */
  broken(needsReset: boolean): void
}

export class RelayedAttempt implements WireOwner {
  /** The address does not take more for now. */
  isSlow = false
  private readonly wire: Wire
  private readonly target: RelayAddress
  private readonly exchange: AttemptOwner
  private readonly heads: RelayedHeads
  private readonly head: Head
  private readonly body = new BodyReader()
  private readonly held = new Held()
  private isHeadRead = false
  private isPaused = false
  private interims = 0
  private framing: ReplyFraming = ReplyFraming.same

  constructor(wire: Wire, target: RelayAddress, exchange: AttemptOwner, heads: RelayedHeads) {
    this.wire = wire
    this.target = target
    this.exchange = exchange
    this.heads = heads
    this.head = heads.newHead()
    wire.owner = this
  }

  start(): void {
    this.wire.resume()
  }

  write(bytes: Buffer): void {
    if (!this.wire.write(bytes)) this.isSlow = true
  }

  pause(): void {
    this.isPaused = true
    this.wire.pause()
  }

  resume(): void {
    if (!this.isPaused) return
    this.isPaused = false
    if (!this.isHeadRead && this.held.length > 0) this.readHeads()
    if (!this.isPaused && !this.wire.isClosed) this.wire.resume()
  }

  abandon(): void {
    this.wire.close()
  }

  /** Leaves the wire to somebody else. */
  give(): Wire {
    return this.wire
  }

  onBytes(bytes: Buffer): void {
    if (this.isHeadRead) {
      const out = this.passBody(bytes)
      if (this.wire.isClosed) return
      if (out.length > 0) this.exchange.content(Buffer.concat(out))
      if (this.body.isDone) this.exchange.done()
      return
    }
    this.exchange.answers()
    this.held.append(bytes)
    if (!this.isPaused) this.readHeads()
  }

  onEnd(): void {
    if (!this.isHeadRead) {
      this.lost()
    } else if (this.body.endOfInput()) {
      if (this.framing === ReplyFraming.chunked) this.exchange.content(lastChunk)
      this.exchange.done()
    } else {
      this.exchange.broken(this.framing === ReplyFraming.untilClose)
    }
  }

  onDrained(): void {
    this.isSlow = false
    this.exchange.requestDrained()
  }

  onClosed(): void {
    if (this.isHeadRead) this.exchange.broken(this.framing === ReplyFraming.untilClose)
    else this.lost()
  }

  private lost(): void {
    this.exchange.lost('E_UPSTREAM_RESET', 'the other side closed the connection before its reply')
  }

  private refuse(): void {
    this.exchange.lost('E_UPSTREAM_PROTOCOL', 'the reply breaks the HTTP/1.1 grammar or its framing')
  }

  private readHeads(): void {
    const { exchange, head, held } = this
    const { limits } = exchange
    while (!this.isPaused) {
      const { methodId, upgradesToWebSocket } = exchange.head
      const taken = readReply(head, held.bytes, held.start, held.end, limits, methodId, upgradesToWebSocket)
      if (taken === 0) return
      if (taken < 0) {
        this.refuse()
        return
      }
      if (head.status >= 200 || head.status === 101) {
        this.commit(taken)
        return
      }
      if (++this.interims > limits.maxInterimReplies) {
        this.refuse()
        return
      }
      const lines = this.heads.reply(head, this.target.tier, ReplyFraming.same)
      held.consume(taken)
      exchange.interim(lines, head.status)
      if (this.wire.isClosed) return
    }
  }

  private commit(taken: number): void {
    const { exchange, head, held, heads } = this
    const { tier } = this.target
    if (tier === 'center' && saysNothingDelivered(head) && exchange.goesElsewhere()) return
    if (head.status === 101) {
      const lines = heads.reply(head, tier, ReplyFraming.same)
      held.consume(taken)
      exchange.switched(lines, held.take())
      return
    }
    const isOld = exchange.head.minor === 0
    if (head.body === BodyKind.untilClose) this.framing = isOld ? ReplyFraming.untilClose : ReplyFraming.chunked
    else if (head.body === BodyKind.chunked && isOld) this.framing = ReplyFraming.untilClose
    const unframes = head.body === BodyKind.chunked && isOld
    this.body.begin(head.body, head.contentLength, unframes, exchange.head.acceptsTrailers, exchange.limits)
    const lines = heads.reply(head, tier, this.framing, exchange.head.acceptsTrailers)
    held.consume(taken)
    // Content that came with the head is judged before anything is written: a fault in it is still a 502.
    const out = this.passBody(held.take(), true)
    if (this.wire.isClosed) return
    this.isHeadRead = true
    exchange.begin(Buffer.concat([lines, ...out]))
    if (this.body.isDone && !this.wire.isClosed) exchange.done()
  }

  /** What of these bytes goes to the caller. After a fault the exchange is over and the wire closed. */
  private passBody(bytes: Buffer, isFirst = false): Buffer[] {
    const { body } = this
    const out: Buffer[] = []
    let at = 0
    while (at < bytes.length && !body.isDone) {
      const taken = body.feed(bytes, at, bytes.length)
      if (taken < 0) {
        if (isFirst) this.refuse()
        else this.exchange.broken(this.framing === ReplyFraming.untilClose)
        return []
      }
      for (let run = 0; run < body.runCount; run++) {
        const piece = bytes.subarray(body.runs[run * 2], body.runs[run * 2 + 1])
        if (this.framing === ReplyFraming.chunked) out.push(chunkHead(piece.length), piece, chunkEnd)
        else out.push(piece)
      }
      if (body.isDone && body.tail !== null) out.push(body.tail)
      at += taken
    }
    return out
  }
}

function chunkHead(length: number): Buffer {
  const line = Buffer.allocUnsafe(maxChunkHeadBytes)
  return line.subarray(0, writeChunkHead(line, 0, length))
}

/** Only a center can say it: what an application writes into this field never passes one. */
function saysNothingDelivered(head: Head): boolean {
  const index = head.find(Field.xMeshTier)
  return index >= 0 && head.valueOf(index) === nothingDelivered
}
