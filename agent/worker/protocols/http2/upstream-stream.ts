import { givenUp, Outcome } from '../../forward/streams.ts'
import type {
  DownstreamStream,
  Fields,
  GivenLink,
  RequestEdits,
  RequestFault,
  RequestMessage,
  Scheme,
  UpstreamOwner,
  UpstreamStream,
} from '../../forward/streams.ts'
import type { Shape } from '../../listen/shape.ts'
import { Flow, tookNothing } from './flow.ts'
import type { FlowUser } from './flow.ts'
import { FlowTransport } from './flow-transport.ts'
import { H2Error } from './frames.ts'
import { Http2Head } from './head.ts'
import { Http2Reply } from './reply-message.ts'
import type { RequestWriter } from './request-writer.ts'
import type { Http2Session } from './session.ts'
import { SwitchReply } from './web-socket.ts'
import type { OutputPool } from '../../transport/output-pool.ts'
import { Spares } from '../../transport/spares.ts'
import { EndpointStream } from '../endpoint-stream.ts'

/** The connection under a stream. */
export interface StreamLink {
  readonly session: Http2Session
  readonly scheme: Scheme
  /** Grows with everything that the endpoint says on its streams. */
  heard: number
  /** A stream that was opened is over before anything of it was said. */
  neverBegan(): void
  /** `onSettings` of the stream follows, or `onLost`, unless `forget`. */
  awaitSettings(stream: Http2UpstreamStream): void
  forget(stream: Http2UpstreamStream): void
}

/** What only it knows of a request under way, as plain data. */
export interface UpstreamState {
  readonly isReused: boolean
  readonly hasReply: boolean
  readonly hasFinalHead: boolean
  readonly interims: number
}

export const upstreamShape: Shape = {
  isReused: 'boolean',
  hasReply: 'boolean',
  hasFinalHead: 'boolean',
  interims: 'number',
}

export interface UpstreamStreamDeps {
  readonly settings: { readonly requests: RequestWriter; readonly limits: { readonly maxInterimReplies: number } }
  readonly tallies: { interimLimits: number }
  readonly outputs: Pick<OutputPool, 'take' | 'give'>
}

const noBytes = Buffer.alloc(0)

/** Codes with which an endpoint ends a stream that say nothing about the protocol. */
const plainCodes: ReadonlySet<number> = new Set([
  H2Error.none,
  H2Error.cancel,
  H2Error.refusedStream,
  H2Error.internal,
  H2Error.enhanceYourCalm,
])

/**
 * One request to an endpoint in HTTP/2, and its reply. Reused for one request after another, over whatever connection.
 */
export class Http2UpstreamStream extends EndpointStream<StreamLink> implements UpstreamStream, FlowUser {
  private flow: Flow = new Flow(this)
  private readonly reply = new Http2Reply()
  private readonly deps: UpstreamStreamDeps
  private readonly store: Spares<Http2UpstreamStream>
  /** Its head was written. */
  private isTold = false
  private hasFinalHead = false
  /** Of extended CONNECT, while it is not known whether the endpoint takes it. */
  private connect: Buffer | null = null
  private isConnect = false
  private webSocketKey: string | undefined

  constructor(deps: UpstreamStreamDeps, store: Spares<Http2UpstreamStream>) {
    super()
    this.deps = deps
    this.store = store
  }

  begin(link: StreamLink, owner: UpstreamOwner, isReused: boolean): void {
    this.use(link, owner, isReused)
    this.isTold = false
    this.hasFinalHead = false
    this.isConnect = false
  }

  // ---- the request

  send(request: RequestMessage, edits: RequestEdits): void {
    const { requests } = this.deps.settings
    if (!requests.canSay(request, edits)) {
      this.giveUp()
      return
    }
    if (edits.keepsAsks && request.asksUpgrade) {
      this.ask(request, edits)
      return
    }
    const { flow } = this
    const { session } = this.link!
    const { sender } = session
    this.isTold = true
    session.begin(flow)
    requests.write(sender.beginHead(), request, edits, '', this.link!.scheme)
    flow.isWithoutContent = request.method === 'HEAD'
    sender.endHead(flow, !request.hasContent)
  }

  /** For a WebSocket, by extended CONNECT, which only an endpoint that said so may be asked (RFC 8441 section 3). */
  private ask(request: RequestMessage, edits: RequestEdits): void {
    const { outputs, settings } = this.deps
    this.isConnect = true
    this.webSocketKey = request.wire instanceof Http2Head ? undefined : request.header('sec-websocket-key')
    const out = outputs.take()
    settings.requests.write(out, request, edits, 'websocket', this.link!.scheme)
    this.connect = Buffer.from(out.view())
    out.clear()
    outputs.give(out)
    if (this.link!.session.remote.isKnown) this.onSettings()
    else this.link!.awaitSettings(this)
  }

  /** The endpoint has said what it takes. */
  onSettings(): void {
    const { connect, flow } = this
    const { session } = this.link!
    if (connect === null) return
    this.connect = null
    if (!session.remote.takesConnect) {
      this.giveUp('the endpoint takes no WebSockets in HTTP/2 (extended CONNECT)')
      return
    }
    this.isTold = true
    session.begin(flow)
    session.sender.beginHead().append(connect)
    session.sender.endHead(flow, false)
  }

  /** The connection ended before the endpoint said anything. */
  onLost(): void {
    this.mayBeRead = false
    this.broken(Outcome.reset, 'the connection ended before the settings of the endpoint came')
  }

  /** The message cannot be said in HTTP/2, so nothing of it is. Told in a later turn, as every end is. */
  private giveUp(why = 'not sayable in HTTP/2'): void {
    const { serial } = this
    this.mayBeRead = false
    setImmediate(() => {
      if (this.serial === serial) this.broken(Outcome.protocol, why)
    })
  }

  content(buf: Buffer, from: number, to: number): void {
    this.flow.data(buf, from, to)
  }

  end(trailers: Fields | null): void {
    // behind the end of a request for a WebSocket its bytes follow
    if (!this.isConnect) this.flow.end(trailers)
  }

  flush(): boolean {
    return this.flow.flush()
  }

  onDrained(): void {
    this.owner!.onDrained()
  }

  // ---- the reply

  onHead(head: Http2Head, isWhole: boolean): void {
    const { reply, serial } = this
    this.link!.heard++
    this.hasReply = true
    reply.wire = head
    if (head.status < 200) {
      this.onInterim()
      return
    }
    this.hasFinalHead = true
    if (this.isConnect && head.status < 300) {
      this.owner!.onSwitch(new SwitchReply(reply, this.webSocketKey), noBytes, 0, 0)
      return
    }
    reply.hasContent = !isWhole && !this.flow.isWithoutContent && head.status !== 204 && head.status !== 304
    if (this.owner!.onReply(reply) === 'discard' && this.serial === serial) this.release()
  }

  private onInterim(): void {
    if (++this.interims <= this.deps.settings.limits.maxInterimReplies) {
      this.owner!.onInterim(this.reply)
      return
    }
    this.deps.tallies.interimLimits++
    this.broken(Outcome.protocol, 'too many interim replies')
  }

  onFault(fault: RequestFault): void {
    this.broken(Outcome.protocol, fault.reason)
  }

  accepts(): boolean {
    return true
  }

  onContent(buf: Buffer, from: number, to: number): void {
    this.link!.heard++
    this.owner!.onContent(buf, from, to)
  }

  onEnd(trailers: Fields | null): void {
    this.owner!.onEnd(trailers)
  }

  onPause(): void {
    // its owner may have let go with the end that was just told
    if (this.hasFinalHead) this.owner?.onPause()
  }

  onReset(code: number, isUnprocessed: boolean, why: string): void {
    this.mayBeRead = !isUnprocessed
    this.isResetAlone = !this.link!.session.isEnding
    if (!this.isResetAlone) {
      // A connection error that we found broke the replies of all its streams.
      this.broken(code === H2Error.cancel ? Outcome.reset : Outcome.protocol, why)
    } else if (why === tookNothing) {
      this.broken(Outcome.timeout, why)
    } else if (code === H2Error.cancel) {
      this.broken(Outcome.reset, givenUp)
    } else {
      this.broken(plainCodes.has(code) ? Outcome.reset : Outcome.protocol, why)
    }
  }

  pause(): void {
    this.flow.pause()
  }

  resume(): void {
    this.flow.resume()
  }

  // ---- leaving this process

  /** Where it runs. */
  get carrier(): StreamLink | null {
    return this.link
  }

  get streamId(): number {
    return this.flow.id
  }

  get caller(): DownstreamStream | null {
    return this.owner === null ? null : this.owner.caller
  }

  get state(): UpstreamState {
    const { hasFinalHead, hasReply, interims, isReused } = this
    return { isReused, hasReply, hasFinalHead, interims }
  }

  /** Instead of `begin` and `send`: goes on with a request of another process. */
  restore(link: StreamLink, owner: UpstreamOwner, flow: Flow, state: UpstreamState): void {
    this.begin(link, owner, state.isReused)
    this.hasReply = state.hasReply
    this.hasFinalHead = state.hasFinalHead
    this.interims = state.interims
    this.isTold = true
    this.flow = flow
    flow.user = this
  }

  /** It goes on elsewhere; so does its owner, who has left. */
  leave(): void {
    this.flow = new Flow(this)
    this.letGo()
    this.store.give(this)
  }

  // ---- the end

  release(): void {
    const { flow } = this
    const isSaid = flow.isLocalDone || flow.isEnding
    this.letGo()
    if (flow.isOpen) {
      // a reply that came before the end of its request: nobody needs the rest
      if (!isSaid || !flow.isRemoteDone) flow.reset(H2Error.cancel)
      else if (!flow.release()) this.flow = new Flow(this)
    }
    this.store.give(this)
  }

  abandon(): void {
    const { flow, link } = this
    if (link === null) return
    this.letGo()
    if (this.isTold) flow.reset(H2Error.cancel)
    else link.neverBegan()
    link.forget(this)
    this.store.give(this)
  }

  /** The stream itself, which leaves its place on the connection when it ends. */
  giveTransport(): GivenLink {
    const { flow, link } = this
    const transport = new FlowTransport(flow, link!.session.transport)
    this.flow = new Flow(this)
    this.letGo()
    this.store.give(this)
    return { transport, lost() {} }
  }

  private broken(outcome: Outcome, reason: string): void {
    const { flow, link } = this
    const owner = this.owner!
    const isUnsaid = !flow.isOpen && !this.isTold
    this.owner = null
    // The owner reads what became of it before the stream serves another request.
    if (isUnsaid) link!.neverBegan()
    else flow.reset(outcome === Outcome.protocol ? H2Error.protocol : H2Error.cancel)
    owner.onBroken(outcome, reason)
    this.letGo()
    this.store.give(this)
  }

  /**
   * Before the place of its stream is free: whoever waits for one takes it at once, and must not get this object while
   * its flow ends.
   */
  private letGo(): void {
    this.serial++
    this.connect = null
    this.link = null
    this.owner = null
  }
}

/** Streams for reuse. */
export function http2UpstreamStreams(deps: UpstreamStreamDeps): Spares<Http2UpstreamStream> {
  return new Spares((home) => new Http2UpstreamStream(deps, home), null)
}
