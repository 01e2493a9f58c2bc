import type {
  Answer,
  DownstreamStream,
  Fields,
  HeaderEdits,
  OpenExchange,
  ReplyEdits,
  ReplyMessage,
  RequestFault,
  StreamOwner,
} from '../../forward/streams.ts'
import type { Accepted } from '../../listen/accepted.ts'
import type { LiveStream } from '../../listen/movable.ts'
import type { Shape } from '../../listen/shape.ts'
import { Spares } from '../../transport/spares.ts'
import { Timer } from '../../transport/timer-wheel.ts'
import type { TimerOwner } from '../../transport/timer-wheel.ts'
import type { Transport } from '../../transport/transport.ts'
import { Flow } from './flow.ts'
import type { FlowUser } from './flow.ts'
import { FlowTransport } from './flow-transport.ts'
import { H2Error } from './frames.ts'
import { headFrom, headShape, headState } from './head-state.ts'
import type { HeadState } from './head-state.ts'
import type { Http2ConnectionDeps } from './connection-deps.ts'
import type { Http2Head } from './head.ts'
import { Http2Request } from './request-message.ts'
import { CallerStream } from '../caller-stream.ts'
import type { CallingConnection } from '../caller-stream.ts'
import type { Sender, WriteMark } from './sender.ts'

/** What only it knows of a request under way, as plain data. */
export interface DownstreamState {
  readonly head: HeadState
  readonly isWhole: boolean
  readonly isNamedByHost: boolean
  /** Its reply. */
  readonly hasBegun: boolean
}

export const downstreamShape: Shape = {
  head: headShape,
  isWhole: 'boolean',
  isNamedByHost: 'boolean',
  hasBegun: 'boolean',
}

/** The connection under a stream. */
export interface StreamConnection extends CallingConnection {
  readonly accepted: Accepted
  readonly sender: Sender
  readonly transport: Transport
  /** One more request was answered, or given up. */
  streamDone(): void
}

/** One request of a connection and the reply to it. Reused with its exchange. */
export class Http2DownstreamStream
  extends CallerStream<StreamConnection>
  implements DownstreamStream, FlowUser, TimerOwner
{
  readonly request: Http2Request = new Http2Request()
  readonly owner: StreamOwner
  flow: Flow = new Flow(this)
  readonly contentTarget = null
  streamId = 0
  private readonly deps: Http2ConnectionDeps
  private readonly store: Spares<Http2DownstreamStream>
  private readonly timer: Timer
  /** The exchange runs. */
  isStarted = false
  private hasHead = false
  /** Content was told and not flushed. */
  private isTold = false
  /** A reply was begun. */
  private hasBegun = false
  /** Something of it left this stream. */
  private hasPassed = false
  private isOver = true
  /** Where the reply was begun. */
  private mark: WriteMark | null = null

  constructor(deps: Http2ConnectionDeps, store: Spares<Http2DownstreamStream>, openExchange: OpenExchange) {
    super()
    this.deps = deps
    this.store = store
    this.timer = new Timer(this, 0)
    this.owner = openExchange(this)
  }

  /** For the next request of `connection`. */
  override attach(connection: StreamConnection): void {
    super.attach(connection)
    this.isOver = false
  }

  /** A tunnel on a stream ends without its connection. */
  get accepted(): Accepted {
    const { accepted } = this.connection
    return this.request.asksUpgrade ? { ...accepted, onEnd() {} } : accepted
  }

  // ---- the request

  onHead(head: Http2Head, isWhole: boolean): void {
    this.streamId = this.flow.id
    this.request.wire = head
    this.request.isWhole = isWhole
    this.hasHead = true
  }

  /** The exchange starts with what came of the content in the same read, so that it goes on in one write. */
  private start(): void {
    this.isStarted = true
    this.owner.start()
  }

  /**
   * What comes behind extended CONNECT waits for the application's word, within the window: an application of HTTP/1.1
   * that does not switch would read it as its next request.
   */
  accepts(count: number): boolean {
    if (this.request.asksUpgrade) return false
    if (this.owner.accepts(count)) return true
    if (this.isStarted || this.isOver) return false
    this.start()
    return !this.isOver && this.owner.accepts(count)
  }

  onContent(buf: Buffer, from: number, to: number): void {
    this.isTold = true
    this.owner.onContent(buf, from, to)
  }

  onEnd(trailers: Fields | null): void {
    this.isTold = true
    this.deps.wheel.disarm(this.timer)
    if (this.request.asksUpgrade) return
    this.owner.onContentEnd(trailers)
  }

  onPause(): void {
    if (!this.isStarted) this.start()
    if (this.isOver) return
    if (this.isTold) {
      this.isTold = false
      if (!this.owner.flushContent()) this.flow.pause()
    }
    this.watchContent()
  }

  /**
   * Content that stops coming is given up, unless a reply has begun: then both sides may be silent as long as they
   * like. So may those of gRPC.
   */
  private watchContent(): void {
    const { clock, settings, wheel } = this.deps
    if (this.flow.isRemoteDone || this.hasBegun || this.flow.isPaused || this.isStreaming) wheel.disarm(this.timer)
    else wheel.arm(this.timer, clock.now + settings.limits.bodyIdleTimeoutMs)
  }

  private get isStreaming(): boolean {
    return this.request.asksUpgrade || this.request.header('content-type')?.startsWith('application/grpc') === true
  }

  onFault(fault: RequestFault): void {
    if (!this.hasHead) {
      this.streamId = this.flow.id
      this.owner.refuseHead(fault)
      return
    }
    this.flushTold()
    if (!this.isOver) this.owner.refuseContent(fault)
  }

  /** Whatever was passed on is flushed before anybody else writes. */
  private flushTold(): void {
    if (!this.isTold || !this.isStarted) return
    this.isTold = false
    this.owner.flushContent()
  }

  onReset(): void {
    if (this.isOver) return
    this.flushTold()
    if (this.isOver) return
    if (this.isStarted) {
      if (!this.hasBegun) this.deps.tallies.abandonedRequests++
      this.owner.cancel()
    } else {
      this.owner.discard()
    }
    this.letGo()
  }

  onTimer(): void {
    this.deps.clock.refresh()
    if (this.isOver || !this.isStarted) return
    this.deps.tallies.bodyTimeouts++
    this.owner.contentTimeOut()
  }

  pause(): void {
    this.flow.pause()
    this.deps.wheel.disarm(this.timer)
  }

  get isPaused(): boolean {
    return this.flow.isPaused
  }

  resume(): void {
    this.flow.resume()
    if (!this.isOver && this.isStarted) this.watchContent()
  }

  resumeSoon(): void {
    if (!this.flow.holdsContent) return
    const { flow } = this
    const { id } = flow
    setImmediate(() => {
      this.deps.clock.refresh()
      if (flow.id === id && flow.user === this) flow.resume()
    })
  }

  // ---- the reply

  interim(reply: ReplyMessage, edits: ReplyEdits): void {
    this.writeHead(reply, edits)
  }

  begin(reply: ReplyMessage, edits: ReplyEdits): boolean {
    const { sender } = this.connection
    this.hasPassed = false
    this.mark = sender.mark(this.flow)
    if (!this.writeHead(reply, edits)) return false
    this.hasBegun = true
    this.deps.wheel.disarm(this.timer)
    return true
  }

  private writeHead(reply: ReplyMessage, edits: ReplyEdits): boolean {
    const { sender } = this.connection
    const out = sender.beginHead()
    if (!this.deps.settings.replies.write(out, reply, edits)) {
      sender.takeBackHead()
      return false
    }
    sender.endHead(this.flow, false)
    return true
  }

  content(buf: Buffer, from: number, to: number): void {
    this.flow.data(buf, from, to)
  }

  end(trailers: Fields | null): void {
    this.flow.end(trailers)
  }

  flush(): boolean {
    this.hasPassed = true
    return this.flow.flush()
  }

  answer(answer: Answer, edits: readonly HeaderEdits[] | null): void {
    const { sender } = this.connection
    const isHead = this.request.wire.method === 'HEAD'
    const hasContent = answer.body.length > 0 && !isHead && answer.status !== 204 && answer.status !== 304
    this.deps.settings.replies.answer(sender.beginHead(), answer, edits)
    sender.endHead(this.flow, !hasContent)
    if (!hasContent) return
    this.flow.data(answer.body, 0, answer.body.length)
    this.flow.end(null)
  }

  dropUnflushed(): boolean {
    if (this.hasPassed) return false
    if (!this.hasBegun) return true
    this.hasBegun = false
    return this.mark !== null && this.connection.sender.takeBack(this.flow, this.mark)
  }

  onDrained(): void {
    if (!this.isOver) this.owner.onDrained()
  }

  // ---- for an operator

  get ordinal(): number {
    return this.streamId
  }

  get facts(): LiveStream['facts'] {
    return this.isStarted && !this.isOver ? this.owner.facts : null
  }

  endBy(why: string): void {
    if (this.isStarted && !this.isOver) this.owner.endBy(why)
  }

  // ---- leaving this process

  /** Whose it is. */
  get carrier(): StreamConnection {
    return this.connection
  }

  /** Its exchange runs, and nothing of it is in hand. */
  get isCarriable(): boolean {
    return this.isStarted && !this.isOver && !this.isTold
  }

  get headBytes(): number {
    return this.request.wire.fields.reduce((sum, { size }) => sum + size, 0)
  }

  get state(): DownstreamState {
    const { hasBegun, request } = this
    const { isNamedByHost, isWhole, wire } = request
    return { head: headState(wire), isWhole, isNamedByHost, hasBegun }
  }

  /** Behind `attach`: goes on with a request of another process, whose exchange follows. */
  restore(flow: Flow, state: DownstreamState): void {
    this.flow = flow
    this.streamId = flow.id
    flow.user = this
    this.request.wire = headFrom(state.head, this.deps.names)
    this.request.isWhole = state.isWhole
    this.request.isNamedByHost = state.isNamedByHost
    this.isStarted = true
    this.hasHead = true
    this.hasBegun = state.hasBegun
    this.hasPassed = state.hasBegun
  }

  /** It and its exchange are there again: the time for content runs. */
  wake(): void {
    if (!this.isOver) this.watchContent()
  }

  /** It goes on elsewhere; so does its exchange, which has left. */
  leave(): void {
    this.flow = new Flow(this)
    this.isOver = true
    this.rest()
  }

  // ---- the end

  done(): void {
    if (!this.flow.isLocalDone && !this.flow.isEnding) this.flow.end(null)
    this.leaveFlow()
  }

  breakOff(): void {
    this.flow.reset(H2Error.internal)
    this.letGo()
  }

  private leaveFlow(): void {
    if (!this.flow.release()) this.flow = new Flow(this)
    this.letGo()
  }

  giveTransport(): { readonly transport: Transport; readonly received: Buffer | null } {
    const { flow } = this
    const transport = new FlowTransport(flow, this.connection.transport)
    this.flow = new Flow(this)
    this.letGo()
    return { transport, received: null }
  }

  private letGo(): void {
    if (this.isOver) return
    this.isOver = true
    this.connection.streamDone()
    this.rest()
  }

  private rest(): void {
    this.deps.wheel.disarm(this.timer)
    this.request.reset()
    this.isStarted = false
    this.hasHead = false
    this.isTold = false
    this.hasBegun = false
    this.hasPassed = false
    this.mark = null
    this.store.give(this)
  }

  /** Leaves the store for good. */
  retire(): void {
    this.deps.wheel.drop(this.timer)
    this.owner.retire()
  }
}

/** Streams for reuse, each with its exchange. */
export function http2DownstreamStreams(
  deps: Http2ConnectionDeps,
  openExchange: OpenExchange,
): Spares<Http2DownstreamStream> {
  return new Spares(
    (home) => new Http2DownstreamStream(deps, home, openExchange),
    (stream) => stream.retire(),
  )
}
