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
import { Timer } from '../../transport/timer-wheel.ts'
import type { TimerOwner } from '../../transport/timer-wheel.ts'
import type { Transport } from '../../transport/transport.ts'
import { Flow } from './flow.ts'
import type { FlowUser } from './flow.ts'
import { FlowTransport } from './flow-transport.ts'
import { H2Error } from './frames.ts'
import type { Http2ConnectionDeps } from './connection-deps.ts'
import type { Http2Head } from './head.ts'
import { Http2Request } from './request-message.ts'
import type { Caller } from './request-message.ts'
import type { Sender, WriteMark } from './sender.ts'

/** The connection under a stream. */
export interface StreamConnection extends Caller {
  readonly accepted: Accepted
  readonly callerKey: string
  readonly share: string
  readonly sender: Sender
  readonly transport: Transport
  /** One more request was answered, or given up. */
  streamDone(): void
}

/** One request of a connection and the reply to it. Reused with its exchange. */
export class Http2DownstreamStream implements DownstreamStream, FlowUser, TimerOwner {
  readonly request: Http2Request = new Http2Request()
  readonly owner: StreamOwner
  flow: Flow = new Flow(this)
  readonly contentTarget = null
  private connection!: StreamConnection
  private readonly deps: Http2ConnectionDeps
  private readonly store: { give(stream: Http2DownstreamStream): void }
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

  constructor(
    deps: Http2ConnectionDeps,
    store: { give(stream: Http2DownstreamStream): void },
    openExchange: OpenExchange,
  ) {
    this.deps = deps
    this.store = store
    this.timer = new Timer(this, 0)
    this.owner = openExchange(this)
  }

  /** For the next request of `connection`. */
  attach(connection: StreamConnection): void {
    this.connection = connection
    this.request.caller = connection
    this.isOver = false
  }

  /** A tunnel on a stream ends without its connection. */
  get accepted(): Accepted {
    const { accepted } = this.connection
    return this.request.asksUpgrade ? { ...accepted, onEnd() {} } : accepted
  }
  get callerKey(): string {
    return this.connection.callerKey
  }
  get share(): string {
    return this.connection.share
  }
  get sourceAddress(): string {
    return this.connection.sourceAddress
  }

  // ---- the request

  onHead(head: Http2Head, isWhole: boolean): void {
    this.request.wire = head
    this.request.isWhole = isWhole
    this.hasHead = true
  }

  /** The exchange starts with what came of the content in the same read, so that it goes on in one write. */
  private start(): void {
    this.isStarted = true
    this.owner.start()
  }

  accepts(count: number): boolean {
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
    this.deps.wheel.disarm(this.timer)
    this.request.reset()
    this.isStarted = false
    this.hasHead = false
    this.isTold = false
    this.hasBegun = false
    this.hasPassed = false
    this.mark = null
    this.connection.streamDone()
    this.store.give(this)
  }

  /** Leaves the store for good. */
  retire(): void {
    this.deps.wheel.drop(this.timer)
    this.owner.retire()
  }
}
