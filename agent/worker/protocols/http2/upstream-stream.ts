import { givenUp, Outcome } from '../../forward/streams.ts'
import type {
  Fields,
  GivenLink,
  RequestEdits,
  RequestFault,
  RequestMessage,
  UpstreamOwner,
  UpstreamStream,
} from '../../forward/streams.ts'
import { Flow } from './flow.ts'
import type { FlowUser } from './flow.ts'
import { H2Error } from './frames.ts'
import type { Http2Head } from './head.ts'
import { Http2Reply } from './reply-message.ts'
import type { RequestWriter } from './request-writer.ts'
import type { Http2Session } from './session.ts'

/** The connection under a stream. */
export interface StreamLink {
  readonly session: Http2Session
  /** Grows with everything that the endpoint says on its streams. */
  heard: number
  /** A stream that was opened is over before anything of it was said. */
  neverBegan(): void
}

export interface UpstreamStreamDeps {
  readonly settings: { readonly requests: RequestWriter; readonly limits: { readonly maxInterimReplies: number } }
  readonly tallies: { interimLimits: number }
}

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
export class Http2UpstreamStream implements UpstreamStream, FlowUser {
  isReused = false
  hasReply = false
  mayBeRead = false
  private link: StreamLink | null = null
  private owner: UpstreamOwner | null = null
  private flow: Flow = new Flow(this)
  private readonly reply = new Http2Reply()
  private readonly deps: UpstreamStreamDeps
  private readonly store: { give(stream: Http2UpstreamStream): void }
  /** Its head was written. */
  private isTold = false
  private hasFinalHead = false
  private interims = 0
  /** Grows with each use and each end, so that what runs sees that it was ended meanwhile. */
  private serial = 0

  constructor(deps: UpstreamStreamDeps, store: { give(stream: Http2UpstreamStream): void }) {
    this.deps = deps
    this.store = store
  }

  begin(link: StreamLink, owner: UpstreamOwner, isReused: boolean): void {
    this.link = link
    this.owner = owner
    this.isReused = isReused
    this.hasReply = false
    this.mayBeRead = true
    this.isTold = false
    this.hasFinalHead = false
    this.interims = 0
    this.serial++
  }

  // ---- the request

  send(request: RequestMessage, edits: RequestEdits): void {
    const { requests } = this.deps.settings
    if ((edits.keepsAsks && request.asksUpgrade) || !requests.canSay(request, edits)) {
      this.giveUp()
      return
    }
    const { flow } = this
    const { session } = this.link!
    const { sender } = session
    this.isTold = true
    session.begin(flow)
    requests.write(sender.beginHead(), request, edits, '')
    flow.isWithoutContent = request.method === 'HEAD'
    sender.endHead(flow, !request.hasContent)
  }

  /** The message cannot be said in HTTP/2, so nothing of it is. Told in a later turn, as every end is. */
  private giveUp(): void {
    const { serial } = this
    setImmediate(() => {
      if (this.serial === serial) this.broken(Outcome.protocol, 'not sayable in HTTP/2')
    })
  }

  content(buf: Buffer, from: number, to: number): void {
    this.flow.data(buf, from, to)
  }

  end(trailers: Fields | null): void {
    this.flow.end(trailers)
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
    const isLost = this.link!.session.isEnding
    if (!isLost && code === H2Error.cancel) this.broken(Outcome.reset, givenUp)
    else this.broken(isLost || plainCodes.has(code) ? Outcome.reset : Outcome.protocol, why)
  }

  pause(): void {
    this.flow.pause()
  }

  resume(): void {
    this.flow.resume()
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
    this.store.give(this)
  }

  giveTransport(): GivenLink {
    throw new RangeError('a stream of HTTP/2 was never switched')
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
    this.link = null
    this.owner = null
  }
}
