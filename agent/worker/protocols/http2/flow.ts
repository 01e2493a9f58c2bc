import type { Fields, RequestFault } from '../../forward/streams.ts'
import { KeptBytes } from '../../transport/kept-bytes.ts'
import { H2Error } from './frames.ts'
import type { Http2Head } from './head.ts'

/**
 * Who uses a stream of a session: what the peer says on it. After `onReset`, or after the user called `reset` or
 * `release`, nothing more is called.
 */
export interface FlowUser {
  /**
   * A whole head: of a request (server), of an interim or final reply (client). `isWhole`: the peer's message ends with
   * it; `onEnd` follows.
   */
  onHead(head: Http2Head, isWhole: boolean): void
  /**
   * What the peer said is malformed or over a bound: its head, its trailers, or content of another length than
   * announced. Nothing more of it will come. The user may write a reply and `release` the stream; when this returns, a
   * stream that is still open is reset.
   */
  onFault(fault: RequestFault): void
  /** Whether `count` bytes of content may be told now. False: they are kept, within the window, until `resume`. */
  accepts(count: number): boolean
  onContent(buf: Buffer, from: number, to: number): void
  /** The peer's message is whole. */
  onEnd(trailers: Fields | null): void
  /** What came in one go has been told, and there is more to come or was an end: time to flush what was passed on. */
  onPause(): void
  /**
   * It ended before both sides had said their ends. `isUnprocessed`: the peer says that it did nothing with it
   * (REFUSED_STREAM, or above the last id of its GOAWAY). `code` of a connection that ended: of the connection error
   * that was found, else CANCEL.
   */
  onReset(code: number, isUnprocessed: boolean, why: string): void
  /** After `flush` had answered false: everything was taken. */
  onDrained(): void
}

/** The session of a stream, as the stream uses it. */
export interface FlowSession {
  readonly sender: {
    data(flow: Flow, buf: Buffer, from: number, to: number): void
    end(flow: Flow, trailers: Fields | null): void
    flush(flow: Flow): boolean
  }
  tellUntold(flow: Flow): void
  writeReset(flow: Flow, code: H2Error): void
  released(flow: Flow): void
}

/** Why a stream was reset whose peer opened no window for too long. */
export const tookNothing = 'the peer took nothing for too long'

/** Nobody: what comes is thrown away. */
export const nobody: FlowUser = {
  onHead() {},
  onFault() {},
  accepts: () => true,
  onContent() {},
  onEnd() {},
  onPause() {},
  onReset() {},
  onDrained() {},
}

/**
 * One stream of a session, as its user sees it, and both of its windows. A stream object of a role makes one and uses
 * it again for one stream after another.
 *
 * Writing puts frames into the session's output, which leaves at the end of the turn. What windows or kernel do not
 * take is kept here: `flush` then answers false, and the user stops its source, so that at most one read of it is kept.
 */
export class Flow {
  user: FlowUser
  session: FlowSession | null = null
  /** 0 = none yet: the client's first head gives it. */
  id = 0

  // ---- what we send
  sendWindow = 0
  /** Our END_STREAM was written. */
  isLocalDone = false
  /** Content that windows or kernel did not take. */
  readonly unsent: KeptBytes = new KeptBytes()
  /** The end follows what is unsent. */
  isEnding = false
  trailers: Fields | null = null
  /** `flush` answered false. */
  isAwaited = false
  /** Since when nothing of `unsent` was taken, monotonic ms. */
  stalledSince = 0

  // ---- what we receive
  receiveWindow = 0
  /** What the window is refilled to. */
  windowSize = 0
  /** Taken by the user and not given back to the peer. */
  credit = 0
  isRemoteDone = false
  hasHead = false
  isPaused = false
  /** Content that came while the user did not take it. */
  readonly untold: KeptBytes = new KeptBytes()
  /** The peer's end was told. */
  isEndTold = false
  remoteTrailers: Fields | null = null
  /** Content-Length of the peer's message, -1 = unknown; and what came. */
  announced = -1
  received = 0
  /** No content follows whatever Content-Length says (a reply to HEAD, 304). */
  isWithoutContent = false
  /** How it is reset when its user lets go before the peer's end. */
  resetCode: H2Error = H2Error.none
  /** What the peer said was malformed: it is reset though everything was said. */
  isFaulty = false

  constructor(user: FlowUser) {
    this.user = user
  }

  get isOpen(): boolean {
    return this.session !== null
  }

  /** The session takes it. */
  begin(session: FlowSession, id: number, sendWindow: number, receiveWindow: number): void {
    this.session = session
    this.id = id
    this.sendWindow = sendWindow
    this.receiveWindow = receiveWindow
    this.windowSize = receiveWindow
  }

  /** Content of our message. */
  data(buf: Buffer, from: number, to: number): void {
    if (to > from) this.session?.sender.data(this, buf, from, to)
  }

  /** Ends our message. */
  end(trailers: Fields | null): void {
    this.session?.sender.end(this, trailers)
  }

  /** False = not everything was taken; `onDrained` follows. */
  flush(): boolean {
    return this.session === null || this.session.sender.flush(this)
  }

  /** No content is told until `resume`: it is kept, and the peer gets no new credit. */
  pause(): void {
    this.isPaused = true
  }

  resume(): void {
    this.isPaused = false
    this.session?.tellUntold(this)
  }

  get holdsContent(): boolean {
    return this.untold.length > 0 || (this.isRemoteDone && !this.isEndTold)
  }

  /** Ends it in whatever state it is. The user is not called any more. */
  reset(code: H2Error): void {
    this.session?.writeReset(this, code)
  }

  /**
   * The user has said its end and wants no more. What is unsent still goes out; then, if the peer has not said its end,
   * the stream is reset with NO_ERROR (RFC 9113 section 8.1). Answers whether it is over already; if not, it belongs to
   * the session, and the user takes another one.
   */
  release(): boolean {
    if (this.session === null) return true
    const { user } = this
    this.user = nobody
    this.isPaused = false
    this.session.released(this)
    if (this.session !== null) return false
    this.user = user
    return true
  }

  /** The session lets go: fresh for the next stream. */
  forget(): void {
    this.session = null
    this.id = 0
    this.isLocalDone = false
    this.unsent.clear()
    this.isEnding = false
    this.trailers = null
    this.isAwaited = false
    this.credit = 0
    this.isRemoteDone = false
    this.hasHead = false
    this.isPaused = false
    this.untold.clear()
    this.isEndTold = false
    this.remoteTrailers = null
    this.announced = -1
    this.received = 0
    this.isWithoutContent = false
    this.resetCode = H2Error.none
    this.isFaulty = false
  }
}
