/**
 * Two connected sockets between which bytes pass unchanged: a TCP connection with its upstream, or an upgraded one
 * (WebSocket).
 *
 * - Bulk goes from socket to socket inside the kernel, where the system offers that; everything else is read and
 *   written.
 * - Backpressure: a side is not read while the other one's kernel does not take what was written, so at most one read,
 *   or one portion of bulk, per direction is held.
 * - Half-close: a FIN is passed on by itself, after the bytes before it; the pair ends when both sides have ended, or
 *   on a reset, which is passed on as a reset.
 * - Idle time: no byte in either direction for that long ends it.
 */
import { takeFailed } from '../../../native/kernel-pipe.ts'
import type { EndpointState } from '../balance/types.ts'
import type { Upstream } from '../connect/upstream.ts'
import type { Accepted } from '../listen/accepted.ts'
import { leaveProcess, movedAccepted } from '../listen/leaving.ts'
import { factsOf } from '../listen/connection-facts.ts'
import type { ConnectionFacts, DescriptorCopies, Detached, MovedPair, Movable } from '../listen/movable.ts'
import type { LiveTable } from '../listen/live-table.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner, TimerWheel } from '../transport/timer-wheel.ts'
import type { Clock } from '../transport/clock.ts'
import type { Output } from '../transport/output.ts'
import { BulkFlow, smallMove } from '../transport/bulk-flow.ts'
import type { BulkMover } from '../transport/bulk-flow.ts'
import { readBufferBytes } from '../transport/transport.ts'
import type { Transport, TransportOwner } from '../transport/transport.ts'

export interface PairDeps {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly output: Output
  readonly bulk: BulkMover
  readonly live: LiveTable
  readonly tallies: { idlePairs: number }
  /** An address is asked for only where it will be written. */
  readonly accessLog: { readonly isOn: boolean }
}

export interface PairOptions {
  readonly protocol: 'tcp' | 'websocket'
  readonly accepted: Accepted
  readonly upstream: Upstream
  readonly state: EndpointState
  /** 0 = none. */
  readonly idleTimeoutMs: number
  /** Gives back what the pair holds of pools and limits. `flag`: Envoy's response flag. */
  readonly onEnd: (pair: Pair, flag: string) => void
}

/** One side: reads from its own transport and writes to the other one's. */
class Side implements TransportOwner {
  readonly transport: Transport
  other!: Side
  /** It said it will send no more. */
  hasEnded = false
  /** FIN was sent to it. */
  finSent = false
  bytesRead = 0
  /** Made when it first carries bulk. */
  flow: BulkFlow | null = null
  private readonly pair: Pair
  private readonly deps: PairDeps

  constructor(pair: Pair, deps: PairDeps, transport: Transport) {
    this.pair = pair
    this.deps = deps
    this.transport = transport
    transport.owner = this
  }

  onBytes(bytes: Buffer, length: number): void {
    const { bulk, output } = this.deps
    this.bytesRead += length
    this.pair.touch()
    if (length === readBufferBytes && bulk.mayMove(this.transport, this.other.transport)) {
      this.flow ??= new BulkFlow(bulk)
      this.transport.awaitReadable(true)
    }
    output.copy(bytes, 0, length)
    if (!this.other.transport.write(output)) this.transport.pauseReading()
  }

  onReadable(): void {
    const flow = this.flow!
    const moved = flow.move(this.transport, this.other.transport)
    if (moved === takeFailed) {
      this.pair.broken(this)
      return
    }
    if (moved <= smallMove) this.transport.awaitReadable(false)
    if (moved <= 0) return
    this.bytesRead += moved
    this.pair.touch()
    if (flow.isHeld) this.transport.pauseReading()
  }

  onEnd(): void {
    this.hasEnded = true
    this.pair.touch()
    this.other.finish()
  }

  onDrained(): void {
    this.pair.touch()
    this.other.flow?.release()
    if (this.other.hasEnded) this.finish()
    else this.other.transport.resumeReading()
  }

  onClosed(): void {
    this.pair.broken(this)
  }

  /** The other side has ended: passes the FIN on when everything before it is in the kernel. */
  finish(): void {
    if (this.finSent || this.transport.pendingBytes > 0) return
    this.finSent = true
    this.transport.end()
    if (this.hasEnded && this.other.finSent) this.pair.ended()
  }
}

export class Pair implements TimerOwner, Movable {
  readonly id: number
  readonly protocol: 'tcp' | 'websocket'
  readonly accepted: Accepted
  readonly startedAt: number
  private readonly deps: PairDeps
  private readonly options: PairOptions
  private readonly down: Side
  private readonly up: Side
  private readonly timer: Timer
  private isOver = false
  /** Of both directions, at the last `takeActivity`. */
  private bytesSeen = 0
  private bytesUpBefore = 0
  private bytesDownBefore = 0

  constructor(deps: PairDeps, options: PairOptions, down: Transport, up: Transport) {
    this.deps = deps
    this.options = options
    this.id = deps.live.nextId()
    this.protocol = options.protocol
    this.accepted = options.accepted
    this.startedAt = deps.clock.now
    this.timer = new Timer(this, 0)
    this.sourceAddress = deps.accessLog.isOn ? (this.accepted.proxy?.sourceAddress ?? down.peer().address) : ''
    this.down = new Side(this, deps, down)
    this.up = new Side(this, deps, up)
    this.down.other = this.up
    this.up.other = this.down
  }

  get listener(): string {
    return this.accepted.listener.name
  }
  get upstream(): Upstream {
    return this.options.upstream
  }
  get state(): EndpointState {
    return this.options.state
  }
  /** Address of the caller; known since the start, for the socket is gone when it is asked for. */
  readonly sourceAddress: string
  get bytesUp(): number {
    return this.bytesUpBefore + this.down.bytesRead
  }
  get bytesDown(): number {
    return this.bytesDownBefore + this.up.bytesRead
  }

  /** Starts to relay. `toUp`, `toDown`: bytes to send first. */
  open(toUp: Buffer | null, toDown: Buffer | null, moved: MovedPair | null): void {
    const { deps } = this
    deps.live.add(this)
    if (moved !== null) {
      this.bytesUpBefore = moved.bytesUp
      this.bytesDownBefore = moved.bytesDown
      this.down.hasEnded = moved.downstreamEnded
      this.up.hasEnded = moved.upstreamEnded
      this.up.finSent = moved.finSentUpstream
      this.down.finSent = moved.finSentDownstream
    }
    this.touch()
    this.startSide(this.down, this.up, toUp)
    this.startSide(this.up, this.down, toDown)
    // libuv sends a FIN in its next turn, which may not have come before the move; a second one does nothing.
    if (this.up.finSent) this.up.transport.end()
    if (this.down.finSent) this.down.transport.end()
  }

  private startSide(from: Side, to: Side, first: Buffer | null): void {
    let isTaken = true
    if (first !== null && first.length > 0) {
      if (this.isOver) return
      this.deps.output.append(first)
      isTaken = to.transport.write(this.deps.output)
    }
    if (from.hasEnded) to.finish()
    else if (isTaken) from.transport.resumeReading()
  }

  touch(): void {
    const { idleTimeoutMs } = this.options
    if (idleTimeoutMs > 0) this.deps.wheel.arm(this.timer, this.deps.clock.refresh() + idleTimeoutMs)
  }

  onTimer(): void {
    this.deps.clock.refresh()
    this.deps.tallies.idlePairs++
    this.end('SI', false)
  }

  /** Both directions have ended in order. */
  ended(): void {
    this.end('-', false)
  }

  /** One side was reset: so is the other. */
  broken(side: object): void {
    this.end(side === this.up ? 'UC' : 'DC', true)
  }

  private end(flag: string, withReset: boolean): void {
    if (this.isOver) return
    if (withReset) {
      this.down.transport.reset()
      this.up.transport.reset()
    } else {
      this.down.transport.close()
      this.up.transport.close()
    }
    this.gone(flag)
  }

  private gone(flag: string): void {
    this.isOver = true
    this.down.flow?.release()
    this.up.flow?.release()
    this.deps.wheel.drop(this.timer)
    this.deps.live.remove(this)
    this.options.onEnd(this, flag)
  }

  // ---- leaving this process

  get isReady(): boolean {
    return !this.isOver && this.down.transport.isMovable && this.up.transport.isMovable
  }

  takeActivity(): boolean {
    const bytes = this.down.bytesRead + this.up.bytesRead
    const isActive = bytes !== this.bytesSeen
    this.bytesSeen = bytes
    return isActive
  }

  whenReady(callback: ((connection: Movable) => void) | null): void {
    if (callback === null || !this.isReady) return
    queueMicrotask(() => {
      if (this.isReady) callback(this)
    })
  }

  detach(copies: DescriptorCopies): Detached | undefined {
    if (!this.isReady) return undefined
    const { accepted, down, options, up } = this
    const moved = movedAccepted(accepted, down.transport, this.deps.clock.now)
    const { descriptors, format, unsent } = leaveProcess([down.transport, up.transport], copies)
    // A FIN that waits behind unsent bytes counts as not sent: the receiver sends both.
    const state: MovedPair = {
      ...format,
      ...moved,
      protocol: options.protocol,
      cluster: options.upstream.key,
      endpoint: options.state.id,
      toUpstream: unsent[1]!.toString('base64'),
      toDownstream: unsent[0]!.toString('base64'),
      downstreamEnded: down.hasEnded,
      upstreamEnded: up.hasEnded,
      finSentUpstream: up.finSent,
      finSentDownstream: down.finSent,
      bytesUp: this.bytesUp,
      bytesDown: this.bytesDown,
    }
    this.gone('moved')
    return { state, descriptors }
  }

  describe(): ConnectionFacts {
    const facts = factsOf(this.accepted, this.down.transport)
    return { ...facts, upstream: this.state.id, bytesUp: this.bytesUp, bytesDown: this.bytesDown }
  }

  readonly isIdle = false

  /** Bytes have no last one that could say so: it ends by itself, or at the deadline. */
  drain(): void {}

  abort(): void {
    this.end('DC', true)
  }
}
