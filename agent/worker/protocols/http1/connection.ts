import type { Accepted } from '../../listen/accepted.ts'
import type { ListenerContext } from '../../listen/listener-context.ts'
import { leaveProcess, movedAccepted } from '../../listen/leaving.ts'
import type { DescriptorCopies, Detached, LiveStream, Movable } from '../../listen/movable.ts'
import { readRequest } from '../../../../http1/read-request.ts'
import { Timer } from '../../transport/timer-wheel.ts'
import type { TimerOwner } from '../../transport/timer-wheel.ts'
import type { Transport, TransportOwner } from '../../transport/transport.ts'
import type { Http1ConnectionDeps } from './connection-deps.ts'
import { Phase, TimerKind } from './connection-phase.ts'
import type { Http1DownstreamStream, StreamConnection } from './downstream-stream.ts'
import { HeldBytes } from './held-bytes.ts'
import { isForHttp2, isHttp2Preface } from './http2-preface.ts'
import { CallerConnection } from '../caller-connection.ts'

/**
 * The caller's side of HTTP/1.1: reads requests one after another, gives each to an exchange, and writes what the
 * exchange answers. Answers keep the order of requests because the next request is not parsed before the exchange is
 * over (R29); meanwhile at most one read of pipelined bytes is held, and the socket is not read.
 */
export class Http1Connection
  extends CallerConnection<Http1ConnectionDeps>
  implements TransportOwner, TimerOwner, Movable, StreamConnection
{
  readonly protocol = 'http1'
  readonly transport: Transport
  /** Of the request in hand, or of the one whose head has begun. */
  stream: Http1DownstreamStream | null = null
  isDraining = false
  /** `served` at the last `takeActivity`. */
  private servedBefore = 0
  private readonly timer: Timer
  private stallTimer: Timer | null = null
  private phase: Phase = Phase.idle
  private held: HeldBytes | null = null
  private lingered = 0
  /** The caller sent FIN. */
  private hasEnded = false
  private isProcessing = false
  /** The kernel does not take what was written. */
  private isSlow = false
  /** Not read, because an endpoint does not take what came. */
  isHeldBack = false

  constructor(deps: Http1ConnectionDeps, accepted: Accepted, transport: Transport) {
    super(deps, accepted)
    this.transport = transport
    this.timer = new Timer(this, TimerKind.idle)
  }

  get context(): ListenerContext {
    return this.accepted.listener
  }

  /** Begins to read. `received`: bytes that were read before (after a PROXY header, or in another process). */
  open(received: Buffer | null): void {
    this.transport.owner = this
    this.deps.live.add(this)
    this.armIdle()
    // First, for what was received may be a whole request, or one with half a body: `process` pauses where it has to.
    this.transport.resumeReading()
    if (received !== null && received.length > 0) this.process(received, 0, received.length)
  }

  // ---- reading

  onBytes(bytes: Buffer, length: number): void {
    this.deps.clock.refresh()
    if (this.phase === Phase.lingering) {
      this.lingered += length
      if (this.lingered > this.deps.settings.limits.maxDrainBytes) {
        this.deps.tallies.drainLimits++
        this.closeNow()
      }
      return
    }
    const { held } = this
    if (held === null) {
      this.process(bytes, 0, length)
      return
    }
    held.append(bytes, 0, length)
    if (this.phase === Phase.head) this.stream!.request.head.moveTo(held.bytes, held.start)
    this.process(held.bytes, held.start, held.end)
  }

  private process(buf: Buffer, start: number, end: number): void {
    this.isProcessing = true
    let at = start
    let served = 0
    while (at < end) {
      let taken: number
      if (this.phase <= Phase.head) {
        if (this.phase === Phase.idle && (this.isSlow || this.onReady !== null)) break
        if (served > this.deps.settings.limits.maxPipelined) {
          this.deps.tallies.pipelineLimits++
          this.continueSoon()
          break
        }
        served++
        taken = this.readHead(buf, at, end)
      } else if (this.phase === Phase.content) {
        taken = this.readContent(buf, at, end)
      } else {
        break
      }
      if (taken <= 0) break
      at += taken
    }
    this.isProcessing = false
    this.hold(buf, at, end)
    if (this.phase === Phase.idle && this.onReady !== null) this.processHeld()
  }

  private takeStream(): Http1DownstreamStream {
    const stream = this.deps.streams.take()
    stream.attach(this)
    this.stream = stream
    return stream
  }

  /** Answers the bytes taken, content that came with the head too; 0 = more are needed, -1 = the connection ends. */
  private readHead(buf: Buffer, start: number, end: number): number {
    const { deps } = this
    const isHttp2 = this.served === 0 && isHttp2Preface(buf, start, end)
    const stream = this.stream ?? this.takeStream()
    const taken = isHttp2 ? -1 : readRequest(stream.request.head, buf, start, end, deps.settings.limits)
    if (taken === 0) {
      if (this.phase === Phase.idle) {
        this.phase = Phase.head
        this.arm(TimerKind.head, deps.settings.limits.headTimeoutMs)
      }
      return 0
    }
    if (taken < 0) {
      if (isHttp2 || (this.served === 0 && isForHttp2(this.accepted.listener.protocol))) {
        stream.discard()
        this.leave()
        deps.beginHttp2(this.accepted, this.transport, Buffer.from(buf.subarray(start, end)))
        return -1
      }
      this.phase = Phase.reply
      stream.refuseHead(taken)
      return -1
    }
    let at = start + taken
    stream.beginRequest()
    if (stream.body.isDone) {
      this.phase = Phase.reply
      deps.wheel.disarm(this.timer)
      stream.endRequest()
    } else {
      this.phase = Phase.content
      if (at < end) {
        const more = this.readContent(buf, at, end)
        if (more < 0) return -1
        at += more
      } else {
        this.arm(TimerKind.content, deps.settings.limits.bodyIdleTimeoutMs)
      }
    }
    stream.start()
    return at - start
  }

  /** The socket is somebody else's from now on. */
  private leave(): void {
    this.phase = Phase.closed
    this.held = null
    this.onReady = null
    this.deps.wheel.drop(this.timer)
    if (this.stallTimer !== null) this.deps.wheel.drop(this.stallTimer)
    this.deps.live.remove(this)
  }

  /** Answers the bytes taken; 0 = none can be passed on now, -1 = the content was broken, the connection ends. */
  private readContent(buf: Buffer, start: number, end: number): number {
    const { deps } = this
    const stream = this.stream!
    if (!stream.owner.accepts(end - start)) return 0
    const taken = stream.takeContent(buf, start, end)
    if (taken < 0) {
      deps.output.clear()
      stream.refuseContent(taken)
      return -1
    }
    if (stream.body.isDone) {
      this.phase = Phase.reply
      deps.wheel.disarm(this.timer)
    } else {
      this.arm(TimerKind.content, deps.settings.limits.bodyIdleTimeoutMs)
    }
    if (!stream.owner.flushContent()) this.pauseReading()
    return taken
  }

  /** Keeps what was not consumed. */
  private hold(buf: Buffer, at: number, end: number): void {
    if (this.phase >= Phase.lingering || at >= end) {
      this.held = null
      return
    }
    if (this.held !== null && buf === this.held.bytes) {
      this.held.start = at
    } else {
      this.held = new HeldBytes(buf, at, end)
      if (this.phase === Phase.head) this.stream!.request.head.moveTo(this.held.bytes, 0)
    }
    if (this.phase !== Phase.head) this.transport.pauseReading()
  }

  /** Whether content waits for somebody who can take it. */
  get holdsContent(): boolean {
    return this.phase === Phase.content && this.held !== null
  }

  pauseReading(): void {
    this.isHeldBack = true
    this.transport.pauseReading()
    if (this.phase === Phase.content) this.deps.wheel.disarm(this.timer)
  }

  /** The endpoint takes more of the request. */
  resumeReading(): void {
    if (this.held !== null) this.processHeld()
    else this.readOn()
  }

  continueSoon(): void {
    setImmediate(() => {
      this.deps.clock.refresh()
      this.processHeld()
    })
  }

  private processHeld(): void {
    if (this.phase >= Phase.lingering || this.isProcessing) return
    if (this.phase === Phase.idle) {
      if (this.isSlow) return
      // A caller that said it will send no more has nothing to move: its last requests are answered here.
      if (this.hasEnded) this.onReady = null
      if (this.onReady !== null) {
        this.offer(this)
        return
      }
    }
    const { held } = this
    if (held !== null && this.phase !== Phase.head) this.process(held.bytes, held.start, held.end)
    if (this.held === null || this.phase === Phase.head) this.readOn()
  }

  private readOn(): void {
    if (this.phase >= Phase.closed) return
    this.isHeldBack = false
    if (this.hasEnded) {
      if (this.phase === Phase.idle) this.closeNow()
      return
    }
    if (this.phase === Phase.content) this.arm(TimerKind.content, this.deps.settings.limits.bodyIdleTimeoutMs)
    this.transport.resumeReading()
  }

  onEnd(): void {
    this.deps.clock.refresh()
    this.hasEnded = true
    switch (this.phase) {
      case Phase.reply:
        // R28
        if (this.context.halfClosed === 'answered') {
          if (!this.stream!.owner.hasReply) {
            this.arm(TimerKind.halfClosed, this.deps.settings.limits.halfClosedTimeoutMs)
          }
          return
        }
        this.giveUp()
        break
      case Phase.content:
        this.stream!.cancel()
        break
      case Phase.lingering:
        if (this.isSlow) return
        break
      default:
    }
    this.closeNow()
  }

  /** Called now and then: a caller that gives up while it is not read is not heard. */
  lookForEnd(): void {
    const runs = this.phase === Phase.content || this.phase === Phase.reply
    if (!runs || (this.held === null && !this.isHeldBack) || this.context.halfClosed !== 'gone') return
    if (!this.transport.hasPeerEnded) return
    this.giveUp()
    this.closeNow()
  }

  /** The caller gave up. */
  private giveUp(): void {
    this.deps.tallies.abandonedRequests++
    this.stream!.cancel()
  }

  // ---- writing

  /** Writes what is in the output; false = the caller reads slowly. */
  flush(): boolean {
    if (this.transport.write(this.deps.output)) return true
    if (this.isSlow || this.phase === Phase.closed) return false
    this.isSlow = true
    this.stallTimer ??= new Timer(this, TimerKind.stalled)
    this.deps.wheel.arm(this.stallTimer, this.deps.clock.now + this.deps.settings.limits.bodyIdleTimeoutMs)
    return false
  }

  onDrained(): void {
    this.deps.clock.refresh()
    this.isSlow = false
    if (this.stallTimer !== null) this.deps.wheel.disarm(this.stallTimer)
    if (this.phase === Phase.lingering) {
      if (this.hasEnded) this.closeNow()
    } else if (this.phase === Phase.idle) {
      this.processHeld()
    } else {
      this.stream?.owner.onDrained()
    }
  }

  /** The exchange is over and its last byte written; its stream has let go of this connection. */
  streamDone(closes: boolean): void {
    this.served++
    if (closes) {
      this.linger()
      return
    }
    this.phase = Phase.idle
    this.armIdle()
    const isStopped = this.held !== null || this.isHeldBack
    if (!this.isProcessing && (isStopped || this.onReady !== null || this.hasEnded)) this.processHeld()
  }

  /** The caller must see a broken reply. `needsReset`: only a reset tells (a reply that ends with the connection). */
  breakOff(needsReset: boolean): void {
    if (needsReset) this.transport.reset()
    this.closeNow()
  }

  /** FIN after the last answer; what still comes is read and dropped, bounded, so that no reset destroys it (R25). */
  private linger(): void {
    this.held = null
    if (this.hasEnded && !this.isSlow) {
      this.closeNow()
      return
    }
    this.phase = Phase.lingering
    this.arm(TimerKind.linger, this.deps.settings.limits.drainTimeoutMs)
    this.transport.end()
    this.transport.resumeReading()
  }

  private arm(kind: number, ms: number): void {
    this.timer.kind = kind
    this.deps.wheel.arm(this.timer, this.deps.clock.now + ms)
  }

  private armIdle(): void {
    this.arm(TimerKind.idle, this.deps.settings.limits.keepAliveTimeoutMs)
  }

  onTimer(timer: Timer): void {
    this.deps.clock.refresh()
    const { tallies } = this.deps
    switch (timer.kind) {
      case TimerKind.head:
        tallies.headTimeouts++
        this.phase = Phase.reply
        this.stream!.headTimeOut()
        return
      case TimerKind.content:
        tallies.bodyTimeouts++
        this.stream?.owner.contentTimeOut()
        return
      case TimerKind.stalled:
        tallies.stalledCallers++
        this.stream?.cancel()
        this.transport.reset()
        this.closeNow()
        return
      case TimerKind.halfClosed:
        if (this.phase !== Phase.reply || this.stream!.owner.hasReply) return
        this.giveUp()
        this.closeNow()
        return
      case TimerKind.linger:
        // The answer itself is still on its way to a slow reader: the time for that is another one.
        if (this.isSlow) {
          this.arm(TimerKind.linger, this.deps.settings.limits.drainTimeoutMs)
          return
        }
        tallies.drainTimeouts++
        this.closeNow()
        return
      default:
        tallies.keepAliveTimeouts++
        this.closeNow()
    }
  }

  onClosed(): void {
    this.deps.clock.refresh()
    this.abort()
  }

  private closeNow(): void {
    if (this.phase === Phase.closed) return
    this.transport.close()
    this.gone()
  }

  private gone(): void {
    this.leave()
    this.stream?.discard()
    this.accepted.onEnd()
  }

  /** Leaves the socket to a tunnel; answers the bytes that were received behind the request. */
  giveTransport(): Buffer | null {
    const rest = this.held?.copy() ?? null
    this.leave()
    return rest
  }

  // ---- leaving this process

  get isReady(): boolean {
    return this.phase <= Phase.head && !this.isSlow && !this.hasEnded && !this.isProcessing && this.transport.isMovable
  }

  takeActivity(): boolean {
    const isInUse = this.phase >= Phase.head && this.phase <= Phase.reply
    const isActive = isInUse || this.served !== this.servedBefore
    this.servedBefore = this.served
    return isActive
  }

  inFlight(): LiveStream[] {
    return this.stream === null ? [] : [this.stream]
  }

  get isIdle(): boolean {
    return this.phase === Phase.idle && this.held === null && !this.isSlow
  }

  whenReady(callback: ((connection: Movable) => void) | null): void {
    this.onReady = callback
    if (callback !== null && this.isReady) this.offer(this)
    else if (callback === null && this.held !== null) this.continueSoon()
  }

  detach(copies: DescriptorCopies): Detached | undefined {
    if (!this.isReady) return undefined
    const { held, isDraining, served, transport } = this
    const moved = movedAccepted(this.accepted, transport, this.deps.clock.now)
    const received = held === null ? '' : held.bytes.toString('base64', held.start, held.end)
    const { descriptors, format } = leaveProcess([transport], copies)
    this.gone()
    return { descriptors, state: { ...format, ...moved, protocol: 'http1', received, served, isDraining } }
  }

  drain(): void {
    this.isDraining = true
  }

  abort(): void {
    if (this.phase === Phase.content || this.phase === Phase.reply) this.stream?.cancel()
    this.closeNow()
  }
}
