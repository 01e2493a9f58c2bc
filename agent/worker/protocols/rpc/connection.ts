import type { RpcCodec } from '../../../../rpc/codec.ts'
import { faultText, FrameFault, FrameKind, RpcFrame } from '../../../../rpc/frame.ts'
import { FrameSplitter, overBudget } from '../../../../rpc/frame-splitter.ts'
import type { FrameReceiver } from '../../../../rpc/frame-splitter.ts'
import type { Accepted } from '../../listen/accepted.ts'
import { leaveProcess, movedAccepted } from '../../listen/leaving.ts'
import type { ConnectionFacts, DescriptorCopies, Detached, LiveStream, Movable } from '../../listen/movable.ts'
import { Timer } from '../../transport/timer-wheel.ts'
import type { TimerOwner } from '../../transport/timer-wheel.ts'
import type { Transport, TransportOwner } from '../../transport/transport.ts'
import type { Spares } from '../../transport/spares.ts'
import { CallerConnection } from '../caller-connection.ts'
import type { RpcConnectionDeps } from './deps.ts'
import type { RpcDownstreamStream, StreamConnection } from './downstream-stream.ts'
import { FrameRate } from './frame-rate.ts'
import { Hold } from './hold.ts'
import { idleMs, maxFrameBytes, maxPending, noticeMs, partialFrameMs, pauseAboveBytes, wholeFrameMs } from './limits.ts'
import { RpcWriter } from './writer.ts'
import type { WriterOwner } from './writer.ts'

/** The caller's side of private RPC: gives each request of its connection to an exchange; replies come in any order. */
export class RpcConnection
  extends CallerConnection<RpcConnectionDeps>
  implements TransportOwner, FrameReceiver, WriterOwner, StreamConnection, TimerOwner, Movable
{
  readonly protocol = 'rpc'
  readonly transport: Transport
  readonly writer: RpcWriter
  readonly service: string
  readonly codec: RpcCodec
  private readonly streams: Spares<RpcDownstreamStream>
  private readonly splitter: FrameSplitter
  private readonly frame = new RpcFrame()
  private readonly timer: Timer
  private readonly pending: RpcDownstreamStream[] = []
  private readonly rate = new FrameRate()
  private readonly hold: Hold
  private lastBytesAt = 0
  /** When the frame began that is not whole yet. */
  private partialSince = Infinity
  /** It takes no more requests: closes when those that it has are answered. */
  private endsAt = Infinity
  private hasCarried = false
  private isOver = false
  private isReading = true

  constructor(
    deps: RpcConnectionDeps,
    streams: Spares<RpcDownstreamStream>,
    codec: RpcCodec,
    accepted: Accepted,
    transport: Transport,
  ) {
    super(deps, accepted)
    this.streams = streams
    this.codec = codec
    this.transport = transport
    const { virtualHost } = accepted.listener
    this.service = virtualHost === null ? '' : virtualHost.slice(virtualHost.lastIndexOf('@@') + 2)
    this.writer = new RpcWriter(transport, deps.outputs, this)
    this.splitter = new FrameSplitter(codec, this, deps.budget, maxFrameBytes, () => this.account.name)
    this.timer = new Timer(this, 0)
    this.hold = new Hold(deps.wheel, deps.clock, this)
  }

  /** Begins to read. `received`: bytes that were read before. */
  open(received: Buffer | null): void {
    this.deps.live.add(this)
    this.transport.owner = this
    this.lastBytesAt = this.deps.clock.now
    this.armIdle()
    this.transport.resumeReading()
    if (received === null || received.length === 0) return
    this.splitter.feed(received, received.length)
    this.adjustReading()
  }

  // ---- what comes

  onBytes(bytes: Buffer, length: number): void {
    this.lastBytesAt = this.deps.clock.refresh()
    if (this.isOver) return
    this.splitter.feed(bytes, length)
    this.adjustReading()
  }

  /** Wherever the rest of a frame came from: the wire, a process before, or what was kept while nothing was read. */
  private notePartial(): void {
    if (this.splitter.waiting === 0) {
      this.partialSince = Infinity
    } else if (this.partialSince === Infinity) {
      this.partialSince = this.deps.clock.now
      this.armIdle()
    }
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
      case FrameKind.request:
      case FrameKind.oneWay:
        this.begin(buf, at, end)
        break
      case FrameKind.heartbeat:
        this.writer.append(codec.heartbeatReply(buf, at, end, frame))
        this.countIdleFrame()
        break
      default:
        // a reply to nothing, or the caller's word that it leaves
        this.deps.tallies.rpcStrayFrames++
        this.countIdleFrame()
    }
    return !this.mustWait
  }

  private begin(buf: Buffer, at: number, end: number): void {
    const stream = this.streams.take()
    stream.attach(this)
    this.hasCarried = true
    stream.ordinal = this.served + this.pending.length + 1
    stream.index = this.pending.length
    this.pending.push(stream)
    if (stream.take(this.codec, buf, at, end, this.frame)) stream.start()
    else this.giveUp(faultText(overBudget), 'memory')
  }

  private countIdleFrame(): void {
    if (this.rate.isTooFast(this.deps.clock.now)) this.giveUp('more heartbeats than anybody needs', 'heartbeats')
  }

  onFault(fault: number): void {
    if (fault === overBudget) this.giveUp('no memory is left for frames', 'memory')
    else this.giveUp(faultText(fault), 'frame', fault === FrameFault.tooLong)
  }

  /** Says which rule was broken, once, and ends. */
  private giveUp(why: string, kind: 'frame' | 'heartbeats' | 'memory' | 'unread', isLimit = false): void {
    if (this.isOver) return
    const { tallies, warn } = this.deps
    if (kind === 'unread') tallies.stalledCallers++
    else if (kind === 'frame' && !isLimit) tallies.rpcBrokenFrames++
    else tallies.rpcLimits++
    const peer = this.transport.peer()
    warn(`${this.codec.name} connection of ${peer.address}:${peer.port} on ${this.listener} ends: ${why}`)
    this.end()
  }

  /** At a bound, or because the connection is about to move or to end: nothing more is read for now. */
  private get mustWait(): boolean {
    return (
      this.isOver ||
      this.hold.isOn ||
      this.endsAt <= this.deps.clock.now ||
      this.pending.length >= maxPending ||
      (this.writer.isSlow && this.writer.unsentBytes > pauseAboveBytes)
    )
  }

  private adjustReading(): void {
    if (this.isOver) return
    // what was kept may reach a bound again
    if (!this.mustWait) this.splitter.resume()
    if (this.isOver) return
    this.notePartial()
    if (this.isReading !== this.mustWait) return
    this.isReading = !this.isReading
    if (this.isReading) this.transport.resumeReading()
    else this.transport.pauseReading()
  }

  private readonly readOn = (): void => {
    this.deps.clock.refresh()
    this.adjustReading()
  }

  streamDone(stream: RpcDownstreamStream): void {
    const { pending } = this
    this.served++
    this.hasCarried = true
    const last = pending.pop()!
    if (last !== stream) {
      pending[stream.index] = last
      last.index = stream.index
    }
    stream.index = -1
    if (this.isOver) return
    // in a later turn: this may run in the middle of a frame
    if (!this.isReading && pending.length === maxPending - 1) setImmediate(this.readOn)
    if (pending.length === 0) this.becameFree()
  }

  private becameFree(): void {
    this.armIdle()
    if (this.onReady !== null) this.offer(this)
  }

  // ---- what goes

  onWritten(): void {
    if (this.onReady !== null && this.pending.length === 0) this.offer(this)
  }

  onSlow(): void {
    this.adjustReading()
  }

  onDrained(): void {
    this.deps.clock.refresh()
    this.writer.onDrained()
    if (this.endsAt <= this.deps.clock.now && this.pending.length === 0) this.endInOrder()
  }

  onTooMuchUnsent(): void {
    this.giveUp('the caller does not read its replies', 'unread')
  }

  // ---- time

  private armIdle(): void {
    const { clock, wheel } = this.deps
    const wait = this.splitter.waiting > 0 ? partialFrameMs : idleMs
    wheel.arm(this.timer, Math.min(this.lastBytesAt + wait, Math.max(this.endsAt, clock.now)))
  }

  onTimer(): void {
    const now = this.deps.clock.refresh()
    if (this.isOver) {
      this.transport.close()
      return
    }
    const isBusy = this.pending.length > 0
    if (this.endsAt <= now) {
      // the last reply closes it, and nothing is begun behind that
      if (isBusy) this.adjustReading()
      else this.endInOrder()
      return
    }
    const quiet = now - this.lastBytesAt
    const isStuck = quiet >= partialFrameMs || now - this.partialSince >= wholeFrameMs
    if (this.isReading && this.splitter.waiting > 0 && isStuck) {
      this.giveUp('a frame stopped coming', 'frame')
    } else if (!isBusy && quiet >= idleMs) {
      this.deps.tallies.keepAliveTimeouts++
      this.end()
    } else if (isBusy || !this.isReading) {
      this.deps.wheel.arm(this.timer, now + partialFrameMs)
    } else {
      this.armIdle()
    }
  }

  // ---- leaving

  get isReady(): boolean {
    return !this.isOver && this.pending.length === 0 && this.endsAt === Infinity && !this.writer.isSlow
  }

  get isIdle(): boolean {
    return this.pending.length === 0 && this.splitter.waiting === 0
  }

  takeActivity(): boolean {
    const isActive = this.hasCarried || this.pending.length > 0
    this.hasCarried = false
    return isActive
  }

  /**
   * As soon as it owes nothing: it takes no new requests meanwhile, which wait in the kernel, for a bounded time at a
   * go.
   */
  whenReady(callback: ((connection: Movable) => void) | null): void {
    this.onReady = callback
    if (callback === null || this.isOver || this.endsAt !== Infinity) {
      this.hold.stop()
      return
    }
    if (this.isReady) this.offer(this)
    else this.hold.start()
  }

  get wantsHold(): boolean {
    return this.onReady !== null
  }

  onHold(): void {
    this.adjustReading()
  }

  detach(copies: DescriptorCopies): Detached | undefined {
    if (!this.isReady) return undefined
    this.writer.write()
    if (!this.isReady) return undefined
    const { accepted, codec, deps, served, splitter, transport } = this
    const moved = movedAccepted(accepted, transport, deps.clock.now)
    const received = splitter.rest().toString('base64')
    const { descriptors, format } = leaveProcess([transport], copies)
    this.close()
    return { descriptors, state: { ...format, ...moved, protocol: 'rpc', codec: codec.name, received, served } }
  }

  /** Says that no more requests are taken, where the protocol has a word for it, and ends behind the last reply. */
  drain(): void {
    this.endSoon(noticeMs)
  }

  /** The same, and takes no more from now on: endpoints are spoken to by another description of the protocol. */
  retire(): void {
    this.endSoon(0)
  }

  private endSoon(afterMs: number): void {
    const at = this.deps.clock.refresh() + afterMs
    if (this.isOver || this.endsAt <= at) return
    const word = this.endsAt === Infinity ? this.codec.goAway() : null
    if (word !== null) this.writer.append(word)
    this.hold.stop()
    this.endsAt = at
    this.adjustReading()
    this.armIdle()
  }

  abort(): void {
    this.end()
  }

  override describe(): ConnectionFacts {
    return { ...super.describe(), streams: this.pending.length }
  }

  inFlight(): LiveStream[] {
    return [...this.pending]
  }

  // ---- the end

  onEnd(): void {
    this.deps.clock.refresh()
    if (this.isOver) this.endLinger()
    else this.end()
  }

  onClosed(): void {
    this.deps.clock.refresh()
    if (this.isOver) this.endLinger()
    else this.close()
  }

  /**
   * FIN behind the last reply, once the caller has taken it. What still comes is thrown away for a moment, so that no
   * reset destroys that reply on its way.
   */
  private endInOrder(): void {
    if (this.isOver) return
    this.writer.write()
    const { clock, wheel } = this.deps
    if (this.writer.isSlow) {
      this.adjustReading()
      if (this.endsAt + partialFrameMs <= clock.now) this.end()
      else wheel.arm(this.timer, clock.now + noticeMs)
      return
    }
    this.isOver = true
    this.letGo()
    this.transport.end()
    this.transport.resumeReading()
    wheel.arm(this.timer, clock.now + noticeMs)
  }

  private endLinger(): void {
    this.deps.wheel.drop(this.timer)
    this.transport.close()
  }

  private end(): void {
    if (this.isOver) return
    // before the last write, which may tell that the kernel is full
    this.isOver = true
    this.writer.write()
    this.letGo()
    this.transport.close()
  }

  private close(): void {
    if (this.isOver) return
    this.isOver = true
    this.letGo()
  }

  private letGo(): void {
    this.hold.stop()
    this.onReady = null
    this.deps.wheel.drop(this.timer)
    this.splitter.close()
    this.writer.close()
    this.deps.live.remove(this)
    const { pending } = this
    this.deps.tallies.abandonedRequests += pending.length
    while (pending.length > 0) pending.pop()!.cancel()
    this.accepted.onEnd()
  }
}
