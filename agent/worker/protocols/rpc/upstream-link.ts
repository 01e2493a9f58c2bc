import type { RpcCodec } from '../../../../rpc/codec.ts'
import { faultText, FrameKind, RpcFrame } from '../../../../rpc/frame.ts'
import { FrameSplitter, overBudget } from '../../../../rpc/frame-splitter.ts'
import type { FrameReceiver } from '../../../../rpc/frame-splitter.ts'
import { Outcome } from '../../forward/streams.ts'
import type { LinkHome, UpstreamLink, UpstreamOwner, UpstreamStream } from '../../forward/streams.ts'
import { Timer } from '../../transport/timer-wheel.ts'
import type { TimerOwner } from '../../transport/timer-wheel.ts'
import { Fate } from '../../transport/transport.ts'
import type { Spares } from '../../transport/spares.ts'
import type { Transport, TransportOwner } from '../../transport/transport.ts'
import type { RpcDeps } from './deps.ts'
import { maxFrameBytes, partialFrameMs, pauseAboveBytes, quietMs, streamsPerLink, wholeFrameMs } from './limits.ts'
import { PendingTable } from './pending-table.ts'
import type { RpcUpstreamStream, StreamLink } from './upstream-stream.ts'
import { RpcWriter } from './writer.ts'
import type { WriterOwner } from './writer.ts'

/** One connection to an endpoint that carries many requests at once, from whatever callers, under ids of its own. */
export class RpcLink implements UpstreamLink, StreamLink, TransportOwner, FrameReceiver, WriterOwner, TimerOwner {
  readonly codec: RpcCodec
  readonly transport: Transport
  readonly writer: RpcWriter
  readonly isMovable = false
  private readonly deps: RpcDeps
  private readonly streams: Spares<RpcUpstreamStream>
  private readonly home: LinkHome
  private readonly splitter: FrameSplitter
  private readonly frame = new RpcFrame()
  private readonly timer: Timer
  private readonly pending: PendingTable<RpcUpstreamStream>
  private written: { readonly stream: RpcUpstreamStream; readonly id: number }[] = []
  /** Streams that were opened and are not over. */
  private running = 0
  private isLeaving = false
  private isOver = false
  /** Something came since the last look. */
  private hasHeard = true
  private lastBytesAt = 0
  /** When the frame began that is not whole yet. */
  private partialSince = Infinity
  private asks = 0

  constructor(
    deps: RpcDeps,
    streams: Spares<RpcUpstreamStream>,
    codec: RpcCodec,
    transport: Transport,
    home: LinkHome,
  ) {
    this.deps = deps
    this.streams = streams
    this.codec = codec
    this.transport = transport
    this.home = home
    this.pending = new PendingTable(codec.idBits, streamsPerLink)
    this.writer = new RpcWriter(transport, deps.outputs, this)
    this.splitter = new FrameSplitter(codec, this, deps.budget, maxFrameBytes, () => `to ${transport.peer().address}`)
    this.timer = new Timer(this, 0)
    transport.owner = this
    deps.wheel.arm(this.timer, deps.clock.now + quietMs)
    transport.resumeReading()
  }

  get freeStreams(): number {
    if (this.isLeaving || this.isOver) return 0
    if (this.writer.isSlow && this.writer.unsentBytes > pauseAboveBytes) return 0
    return this.pending.capacity - this.running
  }

  open(owner: UpstreamOwner, isReused: boolean): UpstreamStream {
    const stream = this.streams.take()
    this.running++
    stream.begin(this, owner, isReused)
    return stream
  }

  enter(stream: RpcUpstreamStream): number {
    return this.pending.add(stream)
  }

  leave(stream: RpcUpstreamStream): void {
    this.pending.remove(stream)
    if (this.isOver) return
    this.running--
    if (this.running > 0 || !this.isLeaving) {
      this.home.linkFreed()
      return
    }
    this.close()
    this.home.linkSpent()
  }

  watchWrite(stream: RpcUpstreamStream): void {
    this.written.push({ stream, id: stream.id })
  }

  ask(stream: RpcUpstreamStream): boolean {
    if (this.codec.heartbeat(0) === null) return false
    this.writer.append(this.codec.heartbeat(this.enter(stream))!)
    return true
  }

  leaving(): null {
    return null
  }

  left(): void {}

  rest(): void {}

  close(): void {
    if (this.isOver) return
    this.over()
    this.transport.close()
  }

  private over(): void {
    this.isOver = true
    this.writer.write()
    this.writer.close()
    this.splitter.close()
    this.deps.wheel.drop(this.timer)
  }

  // ---- what comes

  onBytes(bytes: Buffer, length: number): void {
    this.lastBytesAt = this.deps.clock.refresh()
    this.hasHeard = true
    this.splitter.feed(bytes, length)
    if (this.splitter.waiting === 0) this.partialSince = Infinity
    else if (this.partialSince === Infinity) this.partialSince = this.lastBytesAt
  }

  onFrame(buf: Buffer, at: number, end: number): boolean {
    const { codec, frame } = this
    this.partialSince = Infinity
    const fault = codec.read(buf, at, end, frame)
    if (fault < 0) {
      this.onFault(fault)
      return false
    }
    switch (frame.kind) {
      case FrameKind.reply:
      case FrameKind.heartbeatReply:
        this.onReply(buf, at, end)
        break
      case FrameKind.heartbeat:
        this.writer.append(codec.heartbeatReply(buf, at, end, frame))
        break
      case FrameKind.goAway:
        this.leaveSoon()
        break
      default:
        // a request of the endpoint: nobody here serves any
        this.deps.tallies.rpcStrayFrames++
    }
    return !this.isOver
  }

  private onReply(buf: Buffer, at: number, end: number): void {
    const { codec, frame, pending } = this
    const stream = frame.idHigh === 0 ? pending.find(frame.idLow) : null
    if (stream !== null) stream.onReply(codec, buf, at, end, frame)
    else if (frame.kind === FrameKind.heartbeatReply) this.asks = 0
    // of a request that was given up, or of none
    else this.deps.tallies.rpcStrayFrames++
  }

  /** The endpoint takes no more requests. */
  private leaveSoon(): void {
    this.isLeaving = true
    if (this.running > 0) return
    this.close()
    this.home.linkEnded()
  }

  onFault(fault: number): void {
    this.giveUp(fault === overBudget ? 'no memory is left for frames' : faultText(fault))
  }

  private giveUp(why: string, outcome: Outcome = Outcome.protocol): void {
    const { tallies, warn } = this.deps
    tallies.rpcBrokenFrames++
    const { address, port } = this.transport.peer()
    warn(`${this.codec.name} connection to ${address}:${port} ends: ${why}`)
    this.transport.reset()
    this.broken(outcome, why, () => true)
  }

  // ---- what goes

  onWritten(): void {
    if (this.written.length === 0 || this.writer.isSlow) return
    const { written } = this
    this.written = []
    for (const { id, stream } of written) stream.wasWritten(id)
  }

  onSlow(isSlow: boolean): void {
    if (!isSlow) this.onWritten()
  }

  onDrained(): void {
    this.deps.clock.refresh()
    this.writer.onDrained()
  }

  onTooMuchUnsent(): void {
    this.transport.reset()
    this.broken(Outcome.reset, 'the endpoint does not read', () => true)
  }

  // ---- time

  /** Silence for long asks for a heartbeat; silence after that is the end. A frame that does not end is one, too. */
  onTimer(): void {
    const now = this.deps.clock.refresh()
    if (this.isOver) return
    const isStuck = now - this.lastBytesAt >= partialFrameMs || now - this.partialSince >= wholeFrameMs
    if (this.splitter.waiting > 0 && isStuck) {
      this.giveUp('a frame stopped coming', Outcome.reset)
      return
    }
    if (this.hasHeard) {
      this.asks = 0
    } else if (this.asks > 0) {
      this.transport.reset()
      this.broken(Outcome.reset, 'the endpoint answers no heartbeat', () => true)
      return
    } else {
      const beat = this.codec.heartbeat(this.codec.idBits < 32 ? 2 ** this.codec.idBits - 1 : 0x7f_ff_ff_ff)
      if (beat !== null) {
        this.asks++
        this.writer.append(beat)
      }
    }
    this.hasHeard = false
    this.deps.wheel.arm(this.timer, now + quietMs)
  }

  // ---- the end

  onEnd(): void {
    this.deps.clock.refresh()
    const { transport } = this
    // The kernel is asked before the socket goes.
    const mayBeRead = this.readBy((sent) => transport.fateOf(sent) !== Fate.unread)
    transport.close()
    this.broken(Outcome.reset, 'closed by the endpoint', mayBeRead)
  }

  onClosed(reason: string): void {
    this.deps.clock.refresh()
    const { transport } = this
    this.broken(
      Outcome.reset,
      reason,
      this.readBy((sent) => transport.fateOf(sent) !== Fate.unread),
    )
  }

  /** Whether the endpoint may have read some of a stream, by how many bytes were handed over from its first one on. */
  private readBy(mayBeRead: (sent: number) => boolean): (stream: RpcUpstreamStream) => boolean {
    const { handedOver } = this.writer
    const known = new Map<RpcUpstreamStream, boolean>()
    for (const stream of this.pending.all()) {
      const sent = handedOver - stream.sentAt
      known.set(stream, sent > 0 && mayBeRead(sent))
    }
    return (stream) => known.get(stream) ?? true
  }

  private broken(outcome: Outcome, why: string, mayBeRead: (stream: RpcUpstreamStream) => boolean): void {
    if (this.isOver) return
    const streams = this.pending.all()
    const hadStreams = this.running > 0
    this.isOver = true
    this.writer.close()
    this.splitter.close()
    this.deps.wheel.drop(this.timer)
    for (const stream of streams) stream.mayBeRead = mayBeRead(stream)
    // The pool forgets the link before those that it carried look for another one.
    if (hadStreams) this.home.linkSpent()
    else this.home.linkEnded()
    for (const stream of streams) if (this.pending.find(stream.id) === stream) stream.broken(outcome, why)
  }
}
