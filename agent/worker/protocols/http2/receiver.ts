import type { Http2Deps } from './deps.ts'
import { ClosedBy } from './closed-streams.ts'
import { ControlFrames } from './control-frames.ts'
import type { Flow } from './flow.ts'
import { FrameSplitter } from './frame-splitter.ts'
import type { FrameSink } from './frame-splitter.ts'
import { defaultWindow, Flag, FrameType, H2Error, preface, readWord, writeWindowUpdate } from './frames.ts'
import { HeadBlocks } from './head-blocks.ts'
import { headFaults } from './head-fault.ts'
import { BlockKind } from './head-reader.ts'
import type { Http2Head } from './head.ts'
import { HpackDecoder } from './hpack/decoder.ts'
import { leastMessage, smallFramesKept } from './limits.ts'
import type { Misuse } from './misuse.ts'
import type { SessionCore } from './session-core.ts'
import type { SessionState } from './session-state.ts'

/** Blocks that are remembered: a caller repeats its own, an endpoint those of all callers. */
const slotsOfCaller = 8
const slotsOfEndpoint = 64

/**
 * Content of a stream that we have reset is thrown away; pieces smaller than this count as frames that carry nothing.
 */
const leastStray = 1024

/** What a session reads: frames in their order, heads, content within our windows. */
export class Receiver implements FrameSink {
  private readonly session: SessionCore
  private readonly deps: Http2Deps
  private readonly misuse: Misuse
  private readonly control: ControlFrames
  private readonly splitter: FrameSplitter
  private readonly decoder: HpackDecoder
  private readonly blocks: HeadBlocks
  private prefaceLeft: number
  private window: number = defaultWindow
  /** Taken, and not given back to the peer. */
  private credit = 0
  /** Stream of the block whose frames are still coming; 0 = none. */
  private blockId = 0
  private blockIsWhole = false
  /** What a stream was told in this read and has not been asked to flush. */
  private told: Flow | null = null

  constructor(session: SessionCore, deps: Http2Deps, misuse: Misuse) {
    this.session = session
    this.deps = deps
    this.misuse = misuse
    this.control = new ControlFrames(session, misuse)
    this.splitter = new FrameSplitter(this)
    this.decoder = new HpackDecoder(deps.names, deps.scratch)
    this.blocks = new HeadBlocks(this.decoder, deps.heads, session.isServer ? slotsOfCaller : slotsOfEndpoint)
    this.prefaceLeft = session.isServer ? preface.length : 0
  }

  private get windowSize(): number {
    return this.session.bounds.connectionWindow
  }

  /** How many bytes the window of the connection is widened by at its start. */
  takeWholeWindow(): number {
    const more = Math.max(0, this.windowSize - this.window)
    this.window += more
    return more
  }

  feed(bytes: Buffer, length: number): void {
    let at = 0
    if (this.prefaceLeft > 0) {
      at = this.readPreface(bytes, length)
      if (at < 0) return
    }
    this.splitter.feed(bytes, at, length)
    this.flushTold()
  }

  private readPreface(bytes: Buffer, length: number): number {
    const from = preface.length - this.prefaceLeft
    const count = Math.min(this.prefaceLeft, length)
    for (let i = 0; i < count; i++) {
      if (bytes[i] === preface[from + i]) continue
      this.session.fail(H2Error.protocol, 'no preface')
      return -1
    }
    this.prefaceLeft -= count
    return count
  }

  /** Nothing of a message is in hand: neither a preface nor a header block. */
  get isBetween(): boolean {
    return this.prefaceLeft === 0 && this.blockId === 0
  }

  get state(): Pick<SessionState, 'credit' | 'received' | 'receiveWindow' | 'table'> {
    const { table } = this.decoder
    return {
      credit: this.credit,
      received: this.splitter.rest.toString('base64'),
      receiveWindow: this.window,
      table: { maxSize: table.maxSize, fields: table.entries().map(({ name, value }) => [name, value] as const) },
    }
  }

  get tableBytes(): number {
    return this.decoder.table.size
  }

  restore(state: SessionState): void {
    this.prefaceLeft = 0
    this.window = state.receiveWindow
    this.credit = state.credit
    this.decoder.restore(state.table.maxSize, state.table.fields)
  }

  /** The stream is over: what it kept is given back. */
  forget(flow: Flow): void {
    if (this.told === flow) this.told = null
    this.credit += flow.untold.length
    this.creditConnection()
  }

  /** Its user does not want what was kept for it. */
  drop(flow: Flow): void {
    this.giveBack(flow, flow.untold.length)
    flow.untold.clear()
  }

  close(): void {
    this.told = null
    this.splitter.clear()
  }

  onTooLong(): void {
    this.session.fail(H2Error.frameSize, 'frame longer than the limit')
  }

  onFrame(type: number, flags: number, id: number, buf: Buffer, from: number, to: number): boolean {
    if (!this.session.remote.isKnown && (type !== FrameType.settings || (flags & Flag.ack) !== 0)) {
      return this.session.fail(H2Error.protocol, 'SETTINGS must come first')
    }
    if (this.blockId !== 0 && (type !== FrameType.continuation || id !== this.blockId)) {
      return this.session.fail(H2Error.protocol, 'frame inside a header block')
    }
    switch (type) {
      case FrameType.data:
        this.onData(flags, id, buf, from, to)
        break
      case FrameType.headers:
        this.onHeaders(flags, id, buf, from, to)
        break
      case FrameType.continuation:
        this.onContinuation(flags, id, buf, from, to)
        break
      case FrameType.windowUpdate:
        this.control.onWindowUpdate(id, buf, from, to)
        break
      case FrameType.rstStream:
        this.control.onRstStream(id, buf, from, to)
        break
      case FrameType.settings:
        this.control.onSettingsFrame(flags, id, buf, from, to)
        break
      case FrameType.ping:
        this.control.onPing(flags, id, buf, from, to)
        break
      case FrameType.goAway:
        this.control.onGoAwayFrame(id, buf, from, to)
        break
      case FrameType.priority:
        this.control.onPriority(id, buf, from, to)
        break
      case FrameType.pushPromise:
        this.session.fail(H2Error.protocol, 'PUSH_PROMISE')
        break
      default:
        this.misuse.idleFrame()
    }
    return !this.session.isEnding
  }

  /** Where the padding of `buf[from..to)` begins, -1 = malformed; the payload begins one byte later than `from`. */
  private paddingAt(buf: Buffer, from: number, to: number): number {
    if (from >= to) return -1
    const end = to - buf[from]!
    return end > from ? end : -1
  }

  // ---- heads

  private onHeaders(flags: number, id: number, buf: Buffer, from: number, to: number): void {
    let start = from
    let end = to
    if ((flags & Flag.padded) !== 0) {
      end = this.paddingAt(buf, from, to)
      if (end < 0) return void this.session.fail(H2Error.protocol, 'padding longer than its frame')
      start++
    }
    if (id === 0) return void this.session.fail(H2Error.protocol, 'HEADERS without a stream')
    let dependsOnItself = false
    if ((flags & Flag.priority) !== 0) {
      if (end - start < 5) return void this.session.fail(H2Error.frameSize, 'HEADERS too short for its priority')
      dependsOnItself = (readWord(buf, start) & 0x7fffffff) === id
      start += 5
    }
    this.blockIsWhole = (flags & Flag.endStream) !== 0
    if ((flags & Flag.endHeaders) === 0) {
      if (start === end) this.misuse.idleFrame()
      if (this.keepPart(buf, start, end)) this.blockId = id
      return
    }
    this.onBlock(id, buf, start, end)
    if (!dependsOnItself || this.session.isEnding) return
    const flow = this.session.streams.get(id)
    if (flow !== undefined) this.session.streamError(flow, H2Error.protocol, 'a stream that depends on itself')
  }

  private onContinuation(flags: number, id: number, buf: Buffer, from: number, to: number): void {
    if (this.blockId === 0) return void this.session.fail(H2Error.protocol, 'CONTINUATION without a block')
    if (!this.keepPart(buf, from, to)) return
    if ((flags & Flag.endHeaders) === 0) {
      if (from === to) this.misuse.idleFrame()
      return
    }
    const whole = this.blocks.takeParts()
    this.blockId = 0
    this.onBlock(id, whole, 0, whole.length)
  }

  private keepPart(buf: Buffer, from: number, to: number): boolean {
    return this.blocks.keep(buf, from, to, this.deps.settings.limits.maxHeadBytes) || this.misuse.largeBlock()
  }

  private onBlock(id: number, buf: Buffer, from: number, to: number): void {
    this.flushTold()
    const flow = this.session.streams.get(id)
    if (flow !== undefined) this.onNextBlock(flow, buf, from, to)
    else if (this.session.isServer) this.onNewStream(id, buf, from, to)
    else this.onStrayBlock(id, buf, from, to)
  }

  private read(buf: Buffer, from: number, to: number, kind: BlockKind): Http2Head | null | undefined {
    const read = this.blocks.read(buf, from, to, kind, this.deps.settings.limits)
    if (typeof read !== 'number') return read
    this.session.fail(read, 'header block that cannot be decoded')
    return undefined
  }

  private onNewStream(id: number, buf: Buffer, from: number, to: number): void {
    if ((id & 1) === 0) return void this.session.fail(H2Error.protocol, 'stream id of the wrong side')
    if (id <= this.session.lastId) return this.onStrayBlock(id, buf, from, to)
    const head = this.read(buf, from, to, BlockKind.request)
    this.session.lastId = id
    if (head === undefined || id > this.session.promisedId) return
    const flow = this.session.streams.size < this.session.bounds.maxStreams ? this.session.owner.takeFlow() : null
    if (flow === null) {
      this.deps.tallies.http2RefusedStreams++
      this.session.strayError(id, H2Error.refusedStream)
      return
    }
    this.session.add(flow, id)
    flow.isRemoteDone = this.blockIsWhole
    this.tellHead(flow, head)
  }

  private tellHead(flow: Flow, head: Http2Head | null): void {
    if (head === null) return this.tellFault(flow)
    flow.announced = head.contentLength
    flow.hasHead = true
    const { isRemoteDone: isWhole } = flow
    if (isWhole && head.contentLength > 0 && !flow.isWithoutContent) {
      this.blocks.fault = headFaults.contentDiffers
      return this.tellFault(flow)
    }
    this.told = flow
    flow.user.onHead(head, isWhole)
    if (isWhole && flow.session !== null) this.tellEnd(flow)
  }

  /** Malformed, or over a bound: the user may answer, then it is reset. */
  private tellFault(flow: Flow): void {
    const fault = this.blocks.fault!
    const isMalformed = fault.status === 400
    flow.isFaulty = isMalformed
    flow.resetCode = isMalformed ? H2Error.protocol : H2Error.none
    const { id } = flow
    flow.user.onFault(fault)
    if (flow.session === this.session && flow.id === id) {
      const { user } = flow
      if (this.session.isServer && (flow.isLocalDone || flow.isEnding)) return
      this.session.writeReset(flow, H2Error.protocol)
      user.onReset(H2Error.protocol, false, fault.reason)
    }
    if (isMalformed) this.misuse.reset()
  }

  /** A block on a stream that is there: a reply, or trailers. */
  private onNextBlock(flow: Flow, buf: Buffer, from: number, to: number): void {
    if (flow.isRemoteDone) {
      if (this.read(buf, from, to, BlockKind.trailers) === undefined) return
      this.session.streamError(flow, H2Error.streamClosed, 'a head behind the end')
      return
    }
    if (!this.session.isServer && !flow.hasHead) return this.onReplyBlock(flow, buf, from, to)
    const head = this.read(buf, from, to, BlockKind.trailers)
    if (head === undefined) return
    flow.isRemoteDone = true
    if (head === null || !this.blockIsWhole) {
      this.blocks.fault ??= headFaults.trailers
      this.tellFault(flow)
    } else if (!this.isLengthRight(flow)) {
      this.blocks.fault = headFaults.contentDiffers
      this.tellFault(flow)
    } else {
      flow.remoteTrailers = head.trailerFields()
      this.tellEnd(flow)
    }
  }

  private onReplyBlock(flow: Flow, buf: Buffer, from: number, to: number): void {
    const head = this.read(buf, from, to, BlockKind.reply)
    if (head === undefined) return
    if (head !== null && head.status < 200) {
      if (this.blockIsWhole) this.session.streamError(flow, H2Error.protocol, 'an interim reply that ends the stream')
      else flow.user.onHead(head, false)
      return
    }
    flow.isRemoteDone = this.blockIsWhole
    if (head !== null && (head.status === 204 || head.status === 304)) flow.isWithoutContent = true
    this.tellHead(flow, head)
  }

  /** A block for a stream that is over, or never was. It is decoded all the same: the table must not differ. */
  private onStrayBlock(id: number, buf: Buffer, from: number, to: number): void {
    if (this.read(buf, from, to, BlockKind.trailers) === undefined) return
    const by = this.session.closed.of(id)
    if (by === ClosedBy.us) return this.misuse.idleFrame()
    if (by === ClosedBy.unknown) return void this.session.fail(H2Error.protocol, 'stream id that is not free')
    this.session.fail(H2Error.streamClosed, 'a head on a closed stream')
  }

  // ---- content

  private onData(flags: number, id: number, buf: Buffer, from: number, to: number): void {
    const length = to - from
    this.window -= length
    if (this.window < 0) return void this.session.fail(H2Error.flowControl, 'more content than the window allows')
    let start = from
    let end = to
    if ((flags & Flag.padded) !== 0) {
      end = this.paddingAt(buf, from, to)
      if (end < 0) return void this.session.fail(H2Error.protocol, 'padding longer than its frame')
      start++
    }
    const flow = this.session.streams.get(id)
    if (flow === undefined || flow.isRemoteDone) {
      this.credit += length
      this.creditConnection()
      if (flow !== undefined) this.session.streamError(flow, H2Error.streamClosed, 'content behind the end')
      else this.onStrayData(id, length)
      return
    }
    const isWhole = (flags & Flag.endStream) !== 0
    flow.receiveWindow -= length
    if (flow.receiveWindow < 0) {
      this.credit += length
      this.creditConnection()
      return this.session.streamError(flow, H2Error.flowControl, 'more content than the window allows')
    }
    if (!flow.hasHead) {
      this.credit += length
      return this.session.streamError(flow, H2Error.protocol, 'content before the head')
    }
    if (end === start && !isWhole) this.misuse.idleFrame()
    flow.isRemoteDone = isWhole
    flow.received += end - start
    if (!this.isLengthRight(flow)) {
      this.credit += length
      this.blocks.fault = headFaults.contentDiffers
      return this.tellFault(flow)
    }
    const padding = length - (end - start)
    if (padding > 0) this.giveBack(flow, padding)
    if (end > start) this.tellContent(flow, buf, start, end)
    if (isWhole && flow.session !== null) this.tellEnd(flow)
  }

  private isLengthRight(flow: Flow): boolean {
    const { announced, isRemoteDone, isWithoutContent, received } = flow
    if (isWithoutContent) return received === 0
    return announced < 0 || received === announced || (received < announced && !isRemoteDone)
  }

  private onStrayData(id: number, length: number): void {
    const { session } = this
    if (id === 0 || id > session.lastId || (id & 1) === 0) {
      session.fail(H2Error.protocol, 'content without a stream')
    } else if (id > session.promisedId || session.closed.of(id) === ClosedBy.us) {
      // What was on its way when we reset it, or said that we take no more, says nothing about the peer; a flood of
      // small pieces does.
      if (length < leastStray) this.misuse.idleFrame()
    } else {
      session.strayError(id, H2Error.streamClosed)
    }
  }

  private tellContent(flow: Flow, buf: Buffer, from: number, to: number): void {
    if (this.told !== flow) {
      this.flushTold()
      if (flow.session === null) return
      this.told = flow
    }
    const { user } = flow
    if (flow.isPaused || flow.untold.length > 0 || !user.accepts(to - from)) {
      this.keepContent(flow, buf, from, to)
      return
    }
    user.onContent(buf, from, to)
    if (flow.session !== null) this.giveBack(flow, to - from)
  }

  /** Of callers only: an endpoint does not choose whose content waits, and its connection serves many. */
  private keepContent(flow: Flow, buf: Buffer, from: number, to: number): void {
    const { untold } = flow
    untold.add(buf, from, to)
    if (!this.session.isServer || untold.additions <= smallFramesKept + untold.length / leastMessage) return
    this.deps.tallies.http2SmallFrames++
    this.session.streamError(flow, H2Error.enhanceYourCalm, 'content that waits came in too many small frames')
  }

  /** The user takes content again. */
  tellUntold(flow: Flow): void {
    if (flow.untold.length === 0 && !(flow.isRemoteDone && !flow.isEndTold)) return
    this.flushTold()
    const { untold, user } = flow
    while (untold.length > 0 && !flow.isPaused) {
      const piece = untold.first()
      if (!user.accepts(piece.length)) break
      untold.drop(piece.length)
      user.onContent(piece, 0, piece.length)
      if (flow.session !== this.session) return
      this.giveBack(flow, piece.length)
    }
    if (flow.isRemoteDone && untold.length === 0) this.tellEnd(flow)
    if (flow.session === this.session) user.onPause()
  }

  private tellEnd(flow: Flow): void {
    if (flow.untold.length > 0 || flow.isEndTold) return
    const { user } = flow
    flow.isEndTold = true
    if (this.told !== flow) this.flushTold()
    this.told = flow
    user.onEnd(flow.remoteTrailers)
  }

  flushTold(): void {
    const { told } = this
    if (told === null) return
    this.told = null
    if (told.session !== null) told.user.onPause()
  }

  /** What was taken may come again: told at half a window, and not behind the end of a stream. */
  private giveBack(flow: Flow, count: number): void {
    this.credit += count
    this.creditConnection()
    if (flow.isRemoteDone) return
    flow.credit += count
    if (flow.credit < flow.windowSize >>> 1) return
    writeWindowUpdate(this.session.sender.frames(), flow.id, flow.credit)
    flow.receiveWindow += flow.credit
    flow.credit = 0
  }

  private creditConnection(): void {
    if (this.credit < this.windowSize >>> 1 || this.session.isEnding) return
    writeWindowUpdate(this.session.sender.frames(), 0, this.credit)
    this.window += this.credit
    this.credit = 0
  }
}
