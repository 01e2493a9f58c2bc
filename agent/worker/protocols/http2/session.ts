import { Timer } from '../../transport/timer-wheel.ts'
import type { TimerOwner } from '../../transport/timer-wheel.ts'
import type { Transport, TransportOwner } from '../../transport/transport.ts'
import { ClosedBy, ClosedStreams } from './closed-streams.ts'
import type { Http2Bounds, Http2Deps } from './deps.ts'
import { nobody, tookNothing } from './flow.ts'
import type { Flow } from './flow.ts'
import { flowFrom, flowState } from './flow-state.ts'
import {
  errorName,
  H2Error,
  largestStreamId,
  preface,
  Setting,
  writeGoAway,
  writePing,
  writeReset,
  writeSettings,
  writeWindowUpdate,
} from './frames.ts'
import { defaultTableBytes } from './hpack/decoder.ts'
import { pauseAboveBytes } from './limits.ts'
import { Misuse } from './misuse.ts'
import { Receiver } from './receiver.ts'
import { RemoteSettings } from './remote-settings.ts'
import type { SessionCore, SessionOwner } from './session-core.ts'
import type { SessionState } from './session-state.ts'
import { Sender } from './sender.ts'
import type { SenderOwner } from './sender.ts'

/** How often streams that cannot send are looked at, ms. */
const stallLookMs = 1000
const pingBytes = Buffer.alloc(8)

const State = {
  open: 0,
  /** The last frame was written: what still comes is thrown away. */ ending: 1,
  over: 2,
} as const
type State = (typeof State)[keyof typeof State]

/**
 * One connection of HTTP/2, in either role: settings, streams by their ids, errors, the end. What it reads is with
 * `receiver.ts`, what it writes with `sender.ts`. It knows nothing of requests and replies.
 *
 * Every stream error and connection error of RFC 9113 is answered here. A peer that misuses the protocol uses up an
 * allowance (`misuse.ts`), which ends the connection with ENHANCE_YOUR_CALM.
 */
export class Http2Session implements SessionCore, TransportOwner, TimerOwner, SenderOwner {
  readonly transport: Transport
  readonly isServer: boolean
  readonly sender: Sender
  readonly remote: RemoteSettings = new RemoteSettings()
  readonly owner: SessionOwner
  /** GOAWAY came. */
  isGoneAway = false
  /** The highest id that the peer opened (server), or that we gave (client). */
  lastId = 0
  /** The highest id that our GOAWAY promises to serve. */
  promisedId: number = largestStreamId
  /** Pings of ours without an answer. */
  pings = 0
  readonly streams: Map<number, Flow> = new Map()
  readonly closed: ClosedStreams = new ClosedStreams()
  /** What the peer was told; of the process where it began. */
  bounds: Http2Bounds
  private readonly deps: Http2Deps
  private readonly receiver: Receiver
  private readonly misuse: Misuse
  private readonly timer: Timer
  private phase: State = State.open
  private slowSince = 0

  constructor(deps: Http2Deps, transport: Transport, isServer: boolean, owner: SessionOwner) {
    this.deps = deps
    this.bounds = deps.settings.bounds
    this.transport = transport
    this.isServer = isServer
    this.owner = owner
    this.misuse = new Misuse(deps, (code, why) => this.fail(code, why))
    this.receiver = new Receiver(this, deps, this.misuse)
    this.sender = new Sender(transport, deps.outputs, this)
    this.timer = new Timer(this, 0)
  }

  get now(): number {
    return this.deps.clock.now
  }
  get openStreams(): number {
    return this.streams.size
  }
  /** Its last frame was written: nothing is read or begun any more. */
  get isEnding(): boolean {
    return this.phase !== State.open
  }
  /** Client: whether `begin` may be called. */
  get canOpen(): boolean {
    if (this.isEnding || this.isGoneAway || this.lastId >= largestStreamId - 2) return false
    return this.streams.size < this.remote.maxStreams
  }

  /** Says who we are and begins to read. `received`: bytes that were read before. */
  open(received: Buffer | null): void {
    const { bounds } = this
    const { limits } = this.deps.settings
    const out = this.sender.frames()
    if (!this.isServer) out.append(preface)
    const settings: [number, number][] = [
      // Said although it is the default: some peers use their table only after that (nginx).
      [Setting.headerTableSize, defaultTableBytes],
      this.isServer ? [Setting.maxConcurrentStreams, bounds.maxStreams] : [Setting.enablePush, 0],
      [Setting.initialWindowSize, bounds.streamWindow],
      [Setting.maxHeaderListSize, limits.maxHeadBytes],
    ]
    if (this.isServer) settings.push([Setting.enableConnectProtocol, 1])
    writeSettings(out, settings)
    const more = this.receiver.takeWholeWindow()
    if (more > 0) writeWindowUpdate(out, 0, more)
    this.transport.owner = this
    this.transport.resumeReading()
    if (received !== null && received.length > 0) this.onBytes(received, received.length)
  }

  // ---- leaving this process

  /** No stream is open, and `state` says everything of it to any release. */
  get isBetween(): boolean {
    if (this.isGoneAway || this.promisedId !== largestStreamId || this.pings > 0) return false
    return this.streams.size === 0 && !this.sender.isSlow && this.isCarriable
  }

  /** `state` says everything of it, together with what is not in the kernel yet. */
  get isCarriable(): boolean {
    return !this.isEnding && this.remote.isKnown && this.receiver.isBetween && this.transport.isMovable
  }

  /** Content and table that would travel. */
  get heldBytes(): number {
    let sum = this.sender.unsentBytes + this.transport.pendingBytes + this.receiver.tableBytes
    for (const { unsent, untold } of this.streams.values()) sum += unsent.length + untold.length
    return sum
  }

  /** Only while `isCarriable`, and behind `sender.write`. */
  get state(): SessionState {
    const { closed, isGoneAway, lastId, pings, promisedId, receiver, remote, sender, streams } = this
    const flows = [...streams.values()].map(flowState)
    const open = { flows, pings, promisedId, isGoneAway, resetIds: closed.idsOf(ClosedBy.us) }
    const { bounds } = this
    return { lastId, sendWindow: sender.window, remote: remote.state, ...receiver.state, bounds, open }
  }

  /** It goes on in another process. The users of its streams have left. */
  leave(): void {
    this.phase = State.over
    for (const flow of this.streams.values()) flow.forget()
    this.streams.clear()
    this.sender.close()
    this.receiver.close()
    this.deps.wheel.drop(this.timer)
  }

  /** Instead of `open`: goes on where the session of another process was. `start` follows. */
  restore(state: SessionState): void {
    this.lastId = state.lastId
    if (state.bounds !== undefined) this.bounds = state.bounds
    this.sender.window = state.sendWindow
    this.remote.restore(state.remote)
    this.receiver.restore(state)
    this.transport.owner = this
    const { open } = state
    if (open === undefined) return
    this.isGoneAway = open.isGoneAway
    this.promisedId = open.promisedId
    this.pings = open.pings
    for (const id of open.resetIds) this.closed.add(id, ClosedBy.us)
    for (const flow of open.flows) this.streams.set(flow.id, flowFrom(flow, this))
  }

  /**
   * Its streams have their users: writes what the other process could not, and begins to read. `received`: a part of a
   * frame.
   */
  start(received: string, unsent: Buffer): void {
    this.transport.resumeReading()
    this.sender.restore(this.streams.values(), unsent)
    for (const flow of this.streams.values()) if (!flow.isPaused) this.receiver.tellUntold(flow)
    const bytes = Buffer.from(received, 'base64')
    if (bytes.length > 0) this.onBytes(bytes, bytes.length)
  }

  // ---- streams

  /** Client: opens a stream, whose head is to be written at once. Only while `canOpen`. */
  begin(flow: Flow): void {
    this.add(flow, this.lastId === 0 ? 1 : this.lastId + 2)
  }

  add(flow: Flow, id: number): void {
    this.lastId = id
    flow.begin(this, id, this.remote.initialWindow, this.bounds.streamWindow)
    this.streams.set(id, flow)
  }

  /** Its user has let go, and what it wrote is with the kernel or on its way there. */
  private finish(flow: Flow): void {
    if (flow.isLocalDone && flow.isRemoteDone && !flow.isFaulty) this.remove(flow, ClosedBy.ends)
    else this.writeReset(flow, flow.resetCode)
  }

  onLocalDone(flow: Flow): void {
    if (flow.user === nobody) this.finish(flow)
  }

  released(flow: Flow): void {
    if (flow.unsent.length > 0 || flow.isEnding) this.receiver.drop(flow)
    else this.finish(flow)
  }

  tellUntold(flow: Flow): void {
    this.receiver.tellUntold(flow)
  }

  writeReset(flow: Flow, code: H2Error): void {
    writeReset(this.sender.frames(), flow.id, code)
    this.remove(flow, ClosedBy.us)
  }

  remove(flow: Flow, reason: ClosedBy): void {
    if (flow.session === null) return
    this.receiver.forget(flow)
    this.sender.forget(flow)
    this.streams.delete(flow.id)
    this.closed.add(flow.id, reason)
    flow.forget()
    this.owner.onStreamEnd()
  }

  /**
   * A stream error of the peer's making (RFC 9113 section 5.4.2): its user is told, and the peer's allowance shrinks.
   */
  streamError(flow: Flow, code: H2Error, why: string): void {
    const { user } = flow
    this.writeReset(flow, code)
    user.onReset(code, false, why)
    this.misuse.reset()
  }

  /** The same for a stream that is not there. */
  strayError(id: number, code: H2Error): void {
    writeReset(this.sender.frames(), id, code)
    this.closed.add(id, ClosedBy.us)
    this.misuse.reset()
  }

  // ---- our own words

  ping(): void {
    this.pings++
    writePing(this.sender.frames(), pingBytes, 0, false)
  }

  /**
   * Says that we will soon take no more streams (RFC 9113 section 6.8); the peer may still open some until `goAway`.
   */
  giveNotice(): void {
    writeGoAway(this.sender.frames(), largestStreamId, H2Error.none, '')
  }

  /** Says which streams we serve: those so far, and no others. */
  goAway(code: H2Error = H2Error.none): void {
    this.promisedId = Math.min(this.promisedId, this.lastId)
    this.writeGoAway(code, '')
  }

  private writeGoAway(code: H2Error, why: string): void {
    // As a client we take no streams of the peer's.
    writeGoAway(this.sender.frames(), this.isServer ? Math.min(this.promisedId, this.lastId) : 0, code, why)
  }

  // ---- the end

  /** A connection error (RFC 9113 section 5.4.1). Answers false. */
  fail(code: H2Error, why: string): false {
    if (this.isEnding) return false
    this.deps.tallies.http2ConnectionErrors++
    this.deps.debug(`HTTP/2 connection with ${this.transport.peer().address} ends: ${errorName(code)}, ${why}`)
    this.writeGoAway(code, why)
    this.endBehind(code, why)
    return false
  }

  /** Closes in order: what was written is sent first. Open streams are reset. */
  close(): void {
    if (!this.isEnding) this.endBehind(H2Error.cancel, 'closed')
  }

  /**
   * FIN behind what was written; then what still comes is thrown away for a bounded time, so that no reset destroys it.
   */
  private endBehind(code: H2Error, why: string): void {
    this.phase = State.ending
    this.sender.write()
    this.receiver.close()
    this.dropStreams(code, why)
    this.transport.end()
    this.transport.resumeReading()
    this.deps.wheel.arm(this.timer, this.now + this.deps.settings.limits.drainTimeoutMs)
    this.owner.onClosed(why)
  }

  /** Ends it now, without a word. */
  abort(): void {
    if (this.phase === State.over) return
    this.transport.reset()
    this.gone('given up')
  }

  /** `code`: of the connection error that we found; CANCEL = it just ended. */
  private dropStreams(code: H2Error, why: string): void {
    for (const flow of this.streams.values()) {
      if (flow.session !== this) continue
      const { user } = flow
      this.streams.delete(flow.id)
      this.sender.forget(flow)
      flow.forget()
      user.onReset(code, false, why)
    }
  }

  private gone(why: string): void {
    if (this.phase === State.over) return
    const wasOpen = this.phase === State.open
    this.phase = State.over
    this.sender.close()
    this.receiver.close()
    this.deps.wheel.drop(this.timer)
    if (!wasOpen) return
    this.dropStreams(H2Error.cancel, why)
    this.owner.onClosed(why)
  }

  // ---- the transport

  onBytes(bytes: Buffer, length: number): void {
    this.deps.clock.refresh()
    if (this.isEnding) return
    this.receiver.feed(bytes, length)
    if (this.sender.isSlow && this.sender.unsentBytes > pauseAboveBytes) this.transport.pauseReading()
  }

  onEnd(): void {
    this.deps.clock.refresh()
    this.transport.close()
    this.gone('closed by the peer')
  }

  onClosed(reason: string): void {
    this.deps.clock.refresh()
    this.gone(reason)
  }

  onDrained(): void {
    this.deps.clock.refresh()
    if (!this.isEnding) this.sender.onDrained()
  }

  onSlow(isSlow: boolean): void {
    if (isSlow) {
      this.slowSince = this.now
      this.onStalled()
    }
    if (!isSlow && !this.isEnding) this.transport.resumeReading()
  }

  onStalled(): void {
    if (!this.timer.isArmed && !this.isEnding) this.deps.wheel.arm(this.timer, this.now + stallLookMs)
  }

  /**
   * Streams that could send nothing for too long are given up; so is a connection of which the kernel takes nothing.
   */
  onTimer(): void {
    this.deps.clock.refresh()
    if (this.isEnding) {
      this.transport.close()
      this.gone('')
      return
    }
    const { sender } = this
    const since = this.now - this.deps.settings.limits.bodyIdleTimeoutMs
    if (sender.isSlow && this.slowSince <= since) {
      this.onTooMuchUnsent()
      return
    }
    for (const flow of sender.stalled) {
      if (flow.session !== this || flow.stalledSince > since) continue
      this.deps.tallies.stalledCallers++
      this.streamError(flow, H2Error.cancel, tookNothing)
    }
    if (sender.stalled.size > 0 || sender.isSlow) this.onStalled()
  }

  onTooMuchUnsent(): void {
    this.deps.tallies.stalledCallers++
    this.abort()
  }
}
