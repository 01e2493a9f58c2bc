/**
 * The message layer: what an exchange and the protocols say to each other. A codec turns these messages into its own
 * bytes and back; nothing here knows a wire.
 *
 * Writing: `send`, `begin`, `content` and `end` only put things together; `flush` hands them to the kernel, or has that
 * done at the end of the turn where streams share a connection, so that a head and what came of its content leave in
 * one write. All streams of a worker share one output: whoever has begun to
 * write flushes before anybody else writes.
 *
 * Backpressure: `flush` answers false when the other side does not take what it got. The source is then stopped with
 * `pause`, and `resume`d when `onDrained` comes.
 */
import type { ErrorCode } from '../../../contracts/errors.ts'
import type { RpcProtocol } from '../../../contracts/protocols.ts'
import type { Outcome } from '../balance/types.ts'
import type { CallerAccount } from '../callers/caller-account.ts'
import type { Accepted } from '../listen/accepted.ts'
import type { LiveStream } from '../listen/movable.ts'
import type { Answer } from '../filters/answer.ts'
import type { Fields, HeaderEdits } from '../route/fields.ts'
import type { RequestView } from '../route/request-view.ts'
import type { Transport } from '../transport/transport.ts'
import type { ExchangeState } from './exchange-state.ts'
import type { TraceContext } from './trace-context.ts'

export { Outcome } from '../balance/types.ts'
export { exchangeShape } from './exchange-state.ts'
export type { ExchangeState } from './exchange-state.ts'
export type { Answer } from '../filters/answer.ts'
export type { Fields, HeaderEdits } from '../route/fields.ts'
export { TraceBits } from './trace-context.ts'
export type { TraceContext } from './trace-context.ts'

/** Names in lower case. Fields that frame the content or belong to one connection only are left out. */
export type FieldVisitor = (name: string, value: string) => void

/** The head of a request. Readable until the exchange is over. */
export interface RequestMessage extends RequestView {
  /** Set by routing. */
  isNamedByHost: boolean
  /** How the caller's protocol is named in logs: `HTTP/1.1`. */
  readonly protocol: string
  /** RFC 9110 section 9.2.2: it may be repeated though it may have been carried out. */
  readonly isIdempotent: boolean
  readonly hasContent: boolean
  /** Bytes of content, where they were said before, and of the whole frame in private RPC; -1 = known at its end. */
  readonly contentLength: number
  /** The private RPC that it is said in, and in nothing else; null = HTTP, whatever its version. */
  readonly speaks: RpcProtocol | null
  /** The time that the caller gives its call in the protocol's own words, ms; -1 = none is said. */
  readonly callerTimeoutMs: number
  /** It asks to turn the connection into a WebSocket. */
  readonly asksUpgrade: boolean
  readonly takesTrailers: boolean
  /** It asks what we are, not what lies behind us (OPTIONS with Max-Forwards: 0). */
  readonly endsHere: boolean
  /** How often `name` is among those that passed it on (Via). */
  countVia(name: string): number
  eachField(visit: FieldVisitor): void
  /** See `LoggedRequest.copyTarget`. Absent where path and query do not stand behind each other as bytes. */
  copyTarget?(into: Uint8Array, at: number, most: number): number
  /** A message of its own, which outlives the exchange. */
  copy(): RequestMessage
  /** The codec's own head: where both sides are of one codec, unchanged bytes pass as runs. */
  readonly wire: object | null
}

/** The head of a reply. Readable until the call in which it was told returns. */
export interface ReplyMessage {
  readonly status: number
  readonly hasContent: boolean
  /**
   * Bytes of content as announced, which a reply without content may do too (HEAD, 304), and of the whole frame in
   * private RPC; -1 = not announced.
   */
  readonly contentLength: number
  /** First value of a field; `name` in lower case. */
  header(name: string): string | undefined
  eachField(visit: FieldVisitor): void
  readonly wire: object | null
}

/**
 * What the mesh changes in a forwarded request. One per worker, filled anew for each: read it before `send` returns.
 */
export interface RequestEdits {
  route: HeaderEdits | null
  destination: HeaderEdits | null
  /** Path and query for the endpoint; null = as they came. */
  target: string | null
  /** Host for the endpoint; null = as it came. */
  authority: string | null
  /** The calling application, told to another agent; '' = not told. */
  source: string
  /** A trace that we began, or go on with; null = the caller's passes as it came, or none is wanted. */
  trace: TraceContext | null
  /** The value of an `x-request-id` of ours; null = the caller brought one, or none is wanted. */
  requestId: Buffer | null
  /**
   * Time that is left of a call, in place of the caller's `grpc-timeout`; null = as it came. HTTP/1.1, which carries no
   * gRPC, leaves it as it came.
   */
  grpcTimeout: string | null
  /**
   * Passes on what the caller asks of the connection: an upgrade, and the wish to be told to go on before it sends
   * content (Expect).
   */
  keepsAsks: boolean
}

/** What the mesh changes in a forwarded reply. One per worker, like `RequestEdits`. */
export interface ReplyEdits {
  route: HeaderEdits | null
  destination: HeaderEdits | null
  /** Adds a cookie of ours. */
  cookie: HeaderEdits | null
  /** Of the route's filters. */
  filters: readonly HeaderEdits[] | null
  /** It comes from another agent, whose word about the mesh (`x-mesh-error`) passes; nobody else's does. */
  readonly isFromAgent: boolean
}

/**
 * One request to an endpoint and its reply. A codec implements it, an `UpstreamOwner` has it from `open` until its end.
 */
export interface UpstreamStream {
  /** The connection had carried requests before. */
  readonly isReused: boolean
  /** Any byte of a reply has come. */
  readonly hasReply: boolean
  /** The endpoint may have read some of the request, as far as is known; see `Fate` of the transport. */
  readonly mayBeRead: boolean
  /** When it broke: the endpoint ended this request alone, its connection lives on. */
  readonly isResetAlone: boolean
  send(request: RequestMessage, edits: RequestEdits): void
  content(buf: Buffer, from: number, to: number): void
  /** Ends the request. `trailers`: null = none. */
  end(trailers: Fields | null): void
  /** False = the endpoint takes no more; `onDrained` follows. */
  flush(): boolean
  /** No content of the reply is told until `resume`; its head, or an end that nothing comes before, may be. */
  pause(): void
  resume(): void
  /** After `onEnd`: lets the connection go, which may serve somebody else from now on. */
  release(): void
  /** Ends it in whatever state it is. Nothing is called any more. */
  abandon(): void
  /** After `onSwitch`: leaves the connection, with its place in the pool, to somebody else. */
  giveTransport(): GivenLink
}

/** A connection to an endpoint that is no codec's any more, and keeps its place in the pool until `lost`. */
export interface GivenLink {
  readonly transport: Transport
  lost(): void
}

/** One connection to an endpoint. A codec implements it. */
export interface UpstreamLink {
  readonly transport: Transport
  /**
   * Streams that can be opened now, beside those that are open: at most 1 in HTTP/1.1. Can become 0 at any time, when
   * the endpoint says that it leaves.
   */
  readonly freeStreams: number
  /** `isReused`: it carried requests before. Only while `freeStreams` is above 0. */
  open(owner: UpstreamOwner, isReused: boolean): UpstreamStream
  /** Nobody uses it: it is watched for its end and for bytes that nobody asked for. */
  rest(): void
  /** At rest: takes its leave of the endpoint and closes. Its home is not told. */
  close(): void
  /** At rest: it can go on in another process, from its transport and what `leaving` tells. */
  readonly isMovable: boolean
  /**
   * Only while `isMovable`: plain data that the codec there needs; null = nothing. Says first what waits to be said.
   */
  leaving(): object | null
  /** It went on there, and so did its transport. Its home knows. */
  left(): void
}

export type Scheme = 'http' | 'https'

/** Who dialled a link: a pool, or somebody with one question. */
export interface LinkHome {
  /** A stream has ended and the link can carry another one. */
  linkFreed(): void
  /** It can carry more than it could before. */
  linkWidened(): void
  /** Its last stream has ended, or all of them at once, and it must not be used again; it is closed already. */
  linkSpent(): void
  /** It ended while nobody used it; it is closed already. */
  linkEnded(): void
  /** Its transport was given away and has ended. */
  linkLost(): void
  /** Of the requests that it carries, where their protocol says one. */
  readonly scheme: Scheme
  /** Where it goes on when it leaves this process; null = it does not leave. */
  readonly place: LinkPlace | null
  /** It goes on in another process. */
  linkLeft(): void
}

/** Where a connection to an endpoint belongs. */
export interface LinkPlace {
  /** Key of the destination, and the endpoint's id in it. */
  readonly cluster: string
  readonly endpoint: string
  readonly ageMs: number
  /** Carried so far. */
  readonly requests: number
  /** SPIFFE id of the application that it is for alone; absent = the host's own. */
  readonly identity?: string | undefined
}

/** What a protocol offers towards endpoints. */
export interface UpstreamCodec {
  /** How many requests one connection is expected to carry at once; before it is there, so many wait for one dial. */
  readonly streamsPerLink: number
  /**
   * Makes a link of a connected transport; a paused one is resumed. `from`: of another process, understood; else null.
   */
  openLink(transport: Transport, home: LinkHome, from: object | null): UpstreamLink
  /** Whether a link of another process can go on from what `leaving` told there. */
  understands(from: unknown): from is object | null
}

/** Whether the reply shall be told, or is thrown away: another try follows it, and the stream finds its own end. */
export type ReplyVerdict = 'pass' | 'discard'

/** Why an attempt broke whose endpoint said that it does not want to go on with it (CANCEL of HTTP/2). */
export const givenUp = 'given up by the endpoint'

/**
 * Who gets the reply. After `onEnd` the owner calls `release`; after `onBroken` or a verdict `discard` the stream is
 * over. In every other call it may `abandon` the stream.
 */
export interface UpstreamOwner {
  /** An interim reply (1xx without 101). */
  onInterim(reply: ReplyMessage): void
  onReply(reply: ReplyMessage): ReplyVerdict
  onContent(buf: Buffer, from: number, to: number): void
  /** What came in one go has been told, and there is more to come. */
  onPause(): void
  /** The reply is whole. */
  onEnd(trailers: Fields | null): void
  /**
   * 101: `buf[from..to)` came behind it, and belongs to whoever takes the connection with `giveTransport`, or abandons
   * it.
   */
  onSwitch(reply: ReplyMessage, buf: Buffer, from: number, to: number): void
  onBroken(outcome: Outcome, reason: string): void
  onDrained(): void
  /**
   * Where content of known length may be put without being told, null where it has to be told. Asked while such a reply
   * comes.
   */
  readonly contentTarget: Transport | null
  /** `count` bytes of content went to `contentTarget`. */
  onMoved(count: number): void
  /** The caller's stream that gets the reply; null = nobody waits for it. */
  readonly caller: DownstreamStream | null
}

/**
 * One request of a caller and its reply. A codec implements it, together with one exchange for its whole life:
 * `StreamOwner`.
 */
export interface DownstreamStream {
  readonly request: RequestMessage
  readonly accepted: Accepted
  readonly sourceAddress: string
  /** Of HTTP/2, on its connection; 0 = the protocol has none. */
  readonly streamId: number
  /**
   * Whose share of a worker's bounds it uses: an application, else a workload by its certificate, a user of this host,
   * or an address. The first look of a connection may cost a question to the kernel.
   */
  readonly account: CallerAccount
  /** Passes on and flushes an interim reply, where the caller knows such. */
  interim(reply: ReplyMessage, edits: ReplyEdits): void
  /**
   * Begins the reply; with 101 the connection is given away behind it. False when it cannot be said in this protocol:
   * nothing was written, and the exchange answers itself.
   */
  begin(reply: ReplyMessage, edits: ReplyEdits): boolean
  content(buf: Buffer, from: number, to: number): void
  /** Ends the reply. `trailers`: null = none. */
  end(trailers: Fields | null): void
  /** False = the caller takes no more; `onDrained` follows. */
  flush(): boolean
  /** A whole reply of our own, flushed. `edits`: of the route's filters. */
  answer(answer: Answer, edits: readonly HeaderEdits[] | null): void
  /** Where content of known length may be put without `content`; null where the protocol frames it. */
  readonly contentTarget: Transport | null
  /**
   * What is not flushed of a reply that was begun is forgotten. True when that is all of it: another one may be given
   * instead.
   */
  dropUnflushed(): boolean
  /** The request's content is not read until `resume`. */
  pause(): void
  readonly isPaused: boolean
  resume(): void
  /** Content that was not accepted may be given again, in a later turn. */
  resumeSoon(): void
  /** The exchange is over and has let go: the connection goes on, or ends behind the reply. */
  done(): void
  /** The same in the middle of a reply: the caller must see that it is not whole (R26). */
  breakOff(): void
  /**
   * The same after a reply with 101: leaves the connection to somebody else. `received`: what came behind the request.
   */
  giveTransport(): { readonly transport: Transport; readonly received: Buffer | null }
}

/** What is wrong with a request, for the answer. */
export interface RequestFault {
  readonly status: number
  readonly code: ErrorCode
  readonly reason: string
}

/** The exchange, as the caller's stream sees it. */
export interface StreamOwner {
  /** The head is whole, and the content that came with it was told. */
  start(): void
  /**
   * Whether `count` more bytes of content may be told now. If not, `resume` or `resumeSoon` of the stream follows when
   * they may.
   */
  accepts(count: number): boolean
  onContent(buf: Buffer, from: number, to: number): void
  /** The request is whole. */
  onContentEnd(trailers: Fields | null): void
  /** What came in one go has been told. False = the endpoint takes no more; `resume` of the stream follows. */
  flushContent(): boolean
  /** The head is broken: nothing of it may be read. */
  refuseHead(fault: RequestFault): void
  refuseContent(fault: RequestFault): void
  headTimeOut(): void
  contentTimeOut(): void
  /** A reply has begun. */
  readonly hasReply: boolean
  /** The caller takes the reply again. */
  onDrained(): void
  /** The caller is gone in the middle of its request or reply. Nothing of the stream may be called any more. */
  cancel(): void
  /** The head never became whole: there was no request. */
  discard(): void
  /** Its stream leaves the store for good. */
  retire(): void
  /** For an operator; null = there is no whole head. */
  readonly facts: LiveStream['facts']
  /** An operator ends it. */
  endBy(why: string): void
  /** For a move to another process, at the price of an object for each question. */
  readonly crossing: Crossing
}

/** An exchange in flight, on its way to another process together with the connections of both its streams. */
export interface Crossing {
  /** The endpoint's stream, while everything of the exchange can be said as data; null = not now. */
  readonly carried: UpstreamStream | null
  /** Only while `carried`. */
  state(): ExchangeState
  /** It goes on elsewhere: lets everything go and tells nobody. Its streams follow. */
  leave(): void
  /** Content of the request that travels with it. */
  readonly keptBytes: number
  /** Instead of `start`; its destination and endpoint are known here. `open` gives it its stream to the endpoint. */
  restore(state: ExchangeState, open: (owner: UpstreamOwner) => UpstreamStream): void
}

export type OpenExchange = (stream: DownstreamStream) => StreamOwner
