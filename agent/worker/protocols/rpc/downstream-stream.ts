import type { RpcCodec } from '../../../../rpc/codec.ts'
import type { RpcFrame } from '../../../../rpc/frame.ts'
import { UnknownCodec } from '../../../../rpc/unknown.ts'
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
import type { CallerAccount } from '../../callers/caller-account.ts'
import type { Accepted } from '../../listen/accepted.ts'
import type { LiveStream } from '../../listen/movable.ts'
import { Spares } from '../../transport/spares.ts'
import type { Transport } from '../../transport/transport.ts'
import { replyEdits } from './edits.ts'
import { maxSpareStreams } from './limits.ts'
import type { RpcDeps } from './deps.ts'
import { RpcHead } from './rpc-head.ts'
import { RpcRequest } from './request-message.ts'
import type { RpcCaller } from './request-message.ts'
import { writeFrame } from './write-frame.ts'
import type { RpcWriter } from './writer.ts'

/** What a stream had before its first frame. */
const noCodec = new UnknownCodec('')

/** The connection under a stream. */
export interface StreamConnection extends RpcCaller {
  readonly accepted: Accepted
  readonly account: CallerAccount
  readonly writer: RpcWriter
  /** The request was answered, or given up. */
  streamDone(stream: RpcDownstreamStream): void
  abort(): void
}

/** One request of a connection and the reply to it. Reused with its exchange. */
export class RpcDownstreamStream implements DownstreamStream {
  readonly streamId = 0
  readonly request: RpcRequest
  readonly owner: StreamOwner
  readonly contentTarget = null
  readonly isPaused = false
  /** Its place among the requests of its connection. */
  index = -1
  /** How many its connection had, with it. */
  ordinal = 0
  private connection: StreamConnection | null = null
  private readonly store: Spares<RpcDownstreamStream>
  private isStarted = false
  /** The caller has its reply. */
  private isAnswered = false

  constructor(deps: RpcDeps, store: Spares<RpcDownstreamStream>, openExchange: OpenExchange) {
    this.store = store
    this.request = new RpcRequest(noCodec, deps.names, deps.budget)
    this.owner = openExchange(this)
  }

  attach(connection: StreamConnection): void {
    this.connection = connection
    this.request.caller = connection
    this.isStarted = false
    this.isAnswered = false
  }

  /** The request `buf[at..end)`. False where there is no memory for it. */
  take(codec: RpcCodec, buf: Buffer, at: number, end: number, frame: RpcFrame): boolean {
    return this.request.take(codec, buf, at, end, frame)
  }

  start(): void {
    this.isStarted = true
    this.owner.onContentEnd(null)
    this.owner.start()
  }

  get accepted(): Accepted {
    return this.connection!.accepted
  }
  get account(): CallerAccount {
    return this.connection!.account
  }
  get sourceAddress(): string {
    return this.connection!.sourceAddress
  }

  // ---- the reply

  interim(): void {}

  /** The whole reply, under the id of its request. False for one of another protocol. */
  begin(reply: ReplyMessage, edits: ReplyEdits): boolean {
    const { request } = this
    this.isAnswered = true
    if (request.isOneWay) return true
    const { wire } = reply
    if (!(wire instanceof RpcHead) || wire.codec !== request.wire.codec) {
      this.isAnswered = false
      return false
    }
    const { route, destination, filters } = edits
    if (route !== null || destination !== null || filters !== null) this.writeEdited(wire, edits)
    else this.write(wire.bytes, wire.from, wire.to, wire.frame)
    return true
  }

  private write(bytes: Buffer, from: number, to: number, frame: RpcFrame): void {
    const { codec, frame: asked } = this.request.wire
    writeFrame(this.connection!.writer, codec, bytes, from, to, frame, asked.idHigh, asked.idLow)
  }

  private writeEdited(wire: RpcHead, { destination, filters, route }: ReplyEdits): void {
    const { bytes, codec, frame, from, to } = wire
    const changes = replyEdits(route, destination, ...(filters ?? []))
    const edited = changes === null ? null : codec.edited(bytes, from, to, frame, changes)
    if (edited === null) this.write(bytes, from, to, frame)
    else this.write(edited, 0, edited.length, frame)
  }

  content(): void {}

  end(_trailers: Fields | null): void {}

  flush(): boolean {
    return true
  }

  answer({ body, code, status }: Answer, _edits: readonly HeaderEdits[] | null): void {
    this.isAnswered = true
    if (this.request.isOneWay) return
    const { bytes, codec, frame, to } = this.request.wire
    const error = { status, code: code ?? 'none', reason: reasonOf(body, code ?? '') }
    this.connection!.writer.append(codec.errorReply(bytes, 0, to, frame, error))
  }

  dropUnflushed(): boolean {
    return !this.isAnswered
  }

  pause(): void {}
  resume(): void {}
  resumeSoon(): void {}

  // ---- for an operator

  get facts(): LiveStream['facts'] {
    return this.isStarted ? this.owner.facts : null
  }

  endBy(why: string): void {
    if (this.isStarted) this.owner.endBy(why)
  }

  // ---- the end

  done(): void {
    this.letGo()
  }

  /** A reply is written whole or not at all. */
  breakOff(): void {
    const { connection } = this
    this.letGo()
    connection!.abort()
  }

  /** Its connection has ended. */
  cancel(): void {
    if (this.isStarted) this.owner.cancel()
    else this.owner.discard()
    this.connection = null
    this.request.reset()
    this.store.give(this)
  }

  private letGo(): void {
    const { connection } = this
    if (connection === null) return
    this.connection = null
    this.request.reset()
    connection.streamDone(this)
    this.store.give(this)
  }

  giveTransport(): { readonly transport: Transport; readonly received: Buffer | null } {
    throw new RangeError('a request in private RPC asks for no other protocol')
  }

  /** Leaves the store for good. */
  retire(): void {
    this.owner.retire()
  }
}

/** One line without the code, which is told beside it. */
function reasonOf(body: Buffer, code: string): string {
  const text = body.toString('latin1').trim()
  return text.startsWith(code) ? text.slice(code.length).trim() : text
}

/** Streams for reuse, each with its exchange. */
export function rpcDownstreamStreams(deps: RpcDeps, openExchange: OpenExchange): Spares<RpcDownstreamStream> {
  return new Spares(
    (home) => new RpcDownstreamStream(deps, home, openExchange),
    (stream) => stream.retire(),
    maxSpareStreams,
  )
}
