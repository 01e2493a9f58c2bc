import type { Fields } from '../../forward/streams.ts'
import type { Output } from '../../transport/output.ts'
import type { OutputPool } from '../../transport/output-pool.ts'
import type { Transport } from '../../transport/transport.ts'
import { TurnWriter } from '../turn-writer.ts'
import type { TurnWriterOwner } from '../turn-writer.ts'
import type { Flow } from './flow.ts'
import {
  defaultFrameBytes,
  defaultWindow,
  Flag,
  frameHeaderBytes,
  FrameType,
  largestWindow,
  putFrameHead,
  writeFrameHead,
} from './frames.ts'
import { writeField, writeTableReset } from './hpack/encoder.ts'
import { maxUnsentBytes } from './limits.ts'

/** Where a message was begun, and what the windows were then. */
export interface WriteMark {
  readonly at: number
  readonly writes: number
  readonly window: number
  readonly streamWindow: number
}

export interface SenderOwner extends TurnWriterOwner {
  /** Content of a stream waits for its window, or for the kernel. */
  onStalled(): void
  /** The end of our message was written. */
  onLocalDone(flow: Flow): void
  readonly now: number
}

/**
 * What a connection writes: content within the windows, and the streams that wait for one. Frames of content for the
 * same stream that follow each other become one.
 */
export class Sender extends TurnWriter<SenderOwner> {
  /** Bytes of content that the peer takes on the whole connection. */
  window: number = defaultWindow
  /** The peer's decoder must hear that its table is not used. */
  mustResetTable = true
  /** Written so far: they explain window updates and pings of the peer. */
  dataFrames = 0
  private writes = 0
  /**
   * The frame of content, or the head, that was written last, while nothing follows it: its stream and where it begins.
   */
  private lastFlow: Flow | null = null
  private lastAt = 0
  private lastIsData = false
  private headAt = 0
  /** The head in hand says that the table is not used. */
  private hasResetTable = false
  private readonly waiting = new Set<Flow>()

  constructor(transport: Transport, pool: OutputPool, owner: SenderOwner) {
    super(transport, pool, owner, maxUnsentBytes)
  }

  /** Where the next frame goes. It leaves at the end of the turn. */
  frames(): Output {
    this.lastFlow = null
    return this.open()
  }

  // ---- heads

  /** Where the fields of a head go; `endHead` makes frames of them. */
  beginHead(): Output {
    const out = this.frames()
    out.room(frameHeaderBytes + 1)
    this.headAt = out.length
    out.length += frameHeaderBytes
    this.hasResetTable = this.mustResetTable
    if (this.mustResetTable) {
      this.mustResetTable = false
      writeTableReset(out)
    }
    return out
  }

  endHead(flow: Flow, isWhole: boolean): void {
    const out = this.out!
    const from = this.headAt + frameHeaderBytes
    const length = out.length - from
    const flags = isWhole ? Flag.endStream : 0
    if (length <= defaultFrameBytes) {
      putFrameHead(out.bytes, this.headAt, length, FrameType.headers, flags | Flag.endHeaders, flow.id)
    } else {
      this.splitHead(out, from, flags, flow.id)
    }
    this.lastFlow = flow
    this.lastAt = this.headAt
    this.lastIsData = false
    if (isWhole) this.localDone(flow)
    this.afterFrame()
  }

  /** What was written of a head is taken back: it cannot be said. */
  takeBackHead(): void {
    this.out!.length = this.headAt
    if (this.hasResetTable) this.mustResetTable = true
  }

  private splitHead(out: Output, from: number, flags: number, id: number): void {
    const block = Buffer.from(out.bytes.subarray(from, out.length))
    out.length = this.headAt
    for (let at = 0; at < block.length; at += defaultFrameBytes) {
      const end = Math.min(block.length, at + defaultFrameBytes)
      const last = end === block.length ? Flag.endHeaders : 0
      if (at === 0) writeFrameHead(out, end - at, FrameType.headers, flags | last, id)
      else writeFrameHead(out, end - at, FrameType.continuation, last, id)
      out.copy(block, at, end)
    }
  }

  private writeTrailers(flow: Flow, trailers: Fields): void {
    const out = this.beginHead()
    for (const [name, value] of trailers) writeField(out, name, value)
    this.endHead(flow, true)
  }

  /** Before a message is begun, for `takeBack`. */
  mark(flow: Flow): WriteMark {
    return { at: this.unsentBytes, writes: this.writes, window: this.window, streamWindow: flow.sendWindow }
  }

  /** Forgets what was written since. Only while nobody else wrote. False = it has left already. */
  takeBack(flow: Flow, mark: WriteMark): boolean {
    if (mark.writes !== this.writes || this.out === null) return false
    this.out.length = mark.at
    this.lastFlow = null
    this.window = mark.window
    flow.sendWindow = mark.streamWindow
    flow.unsent.clear()
    return true
  }

  // ---- content

  data(flow: Flow, buf: Buffer, from: number, to: number): void {
    let at = from
    if (flow.unsent.length === 0 && !this.isSlow) at = this.writeData(flow, buf, from, to)
    if (at === to) return
    flow.unsent.add(buf, at, to)
    this.wait(flow)
  }

  /** As much as the windows allow; answers where it stopped. */
  private writeData(flow: Flow, buf: Buffer, from: number, to: number): number {
    let at = from
    while (at < to && !this.isSlow) {
      const room = Math.min(to - at, flow.sendWindow, this.window)
      if (room <= 0) break
      const out = this.open()
      const begun = this.lastFlow === flow && this.lastIsData ? out.length - this.lastAt - frameHeaderBytes : -1
      let count: number
      if (begun >= 0 && begun < defaultFrameBytes) {
        count = Math.min(room, defaultFrameBytes - begun)
        putFrameHead(out.bytes, this.lastAt, begun + count, FrameType.data, 0, flow.id)
      } else {
        count = Math.min(room, defaultFrameBytes)
        this.lastFlow = flow
        this.lastAt = out.length
        this.lastIsData = true
        this.dataFrames++
        writeFrameHead(out, count, FrameType.data, 0, flow.id)
      }
      out.copy(buf, at, at + count)
      at += count
      flow.sendWindow -= count
      this.window -= count
      this.afterFrame()
    }
    if (at > from) flow.stalledSince = this.owner.now
    return at
  }

  end(flow: Flow, trailers: Fields | null): void {
    if (flow.isLocalDone || flow.isEnding) return
    if (flow.unsent.length > 0) {
      flow.isEnding = true
      flow.trailers = trailers
      return
    }
    this.writeEnd(flow, trailers)
  }

  private writeEnd(flow: Flow, trailers: Fields | null): void {
    if (trailers !== null) {
      this.writeTrailers(flow, trailers)
      return
    }
    const out = this.open()
    if (this.lastFlow === flow) {
      out.bytes[this.lastAt + 4] = out.bytes[this.lastAt + 4]! | Flag.endStream
      this.lastFlow = null
    } else {
      this.lastFlow = null
      writeFrameHead(out, 0, FrameType.data, Flag.endStream, flow.id)
    }
    this.localDone(flow)
    this.afterFrame()
  }

  private localDone(flow: Flow): void {
    flow.isLocalDone = true
    this.owner.onLocalDone(flow)
  }

  flush(flow: Flow): boolean {
    if (flow.unsent.length === 0 && !this.isSlow) return true
    flow.isAwaited = true
    this.wait(flow)
    return false
  }

  private wait(flow: Flow): void {
    if (this.waiting.has(flow)) return
    flow.stalledSince = this.owner.now
    this.waiting.add(flow)
    this.owner.onStalled()
  }

  /** Streams with something to write, in the order in which they wait. */
  get stalled(): ReadonlySet<Flow> {
    return this.waiting
  }

  /** The stream is over. Its object may serve another connection next, and must not be found here then. */
  forget(flow: Flow): void {
    this.waiting.delete(flow)
  }

  /** Windows or kernel may take more: one frame of each stream in turn, until nothing goes any more. */
  push(): void {
    const { waiting } = this
    if (waiting.size === 0) return
    for (let hasMoved = true; hasMoved && !this.isSlow;) {
      hasMoved = false
      for (const flow of waiting) {
        if (this.isSlow) break
        if (flow.unsent.length > 0 && this.pushOne(flow)) hasMoved = true
      }
    }
    for (const flow of waiting) {
      if (flow.unsent.length > 0 || (flow.isAwaited && this.isSlow)) continue
      waiting.delete(flow)
      const { isAwaited, isEnding } = flow
      flow.isAwaited = false
      if (isEnding && !flow.isLocalDone) this.writeEnd(flow, flow.trailers)
      else if (isAwaited) flow.user.onDrained()
    }
  }

  private pushOne(flow: Flow): boolean {
    const piece = flow.unsent.first()
    const end = Math.min(piece.length, defaultFrameBytes)
    const at = this.writeData(flow, piece, 0, end)
    flow.unsent.drop(at)
    return at > 0
  }

  /** False = more than a window can be. */
  widen(flow: Flow | null, by: number): boolean {
    if (flow === null) this.window += by
    else flow.sendWindow += by
    return (flow === null ? this.window : flow.sendWindow) <= largestWindow
  }

  // ---- to the kernel

  protected onLeaving(): void {
    this.lastFlow = null
    this.writes++
  }

  override onDrained(): void {
    super.onDrained()
    if (!this.isSlow) this.push()
  }

  // ---- leaving this process

  /** What the kernel has no room for yet; taken out. */
  takeUnsent(): Buffer {
    const { out } = this
    const bytes = out === null ? Buffer.alloc(0) : Buffer.from(out.bytes.subarray(0, out.length))
    out?.clear()
    return bytes
  }

  /** Goes on with the streams of another process: those that wait, and what was written and not sent. */
  restore(flows: Iterable<Flow>, unsent: Buffer): void {
    if (unsent.length > 0) this.frames().append(unsent)
    this.write()
    for (const flow of flows) if (flow.unsent.length > 0 || flow.isAwaited || flow.isEnding) this.wait(flow)
    this.push()
  }

  override close(): void {
    super.close()
    this.waiting.clear()
  }
}
