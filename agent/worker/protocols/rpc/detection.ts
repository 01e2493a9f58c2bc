import type { RpcCodec } from '../../../../rpc/codec.ts'
import { detected } from '../../../../contracts/protocols.ts'
import type { Accepted } from '../../listen/accepted.ts'
import { leaveProcess, movedAccepted } from '../../listen/leaving.ts'
import type { DescriptorCopies, Detached, Movable } from '../../listen/movable.ts'
import { Timer } from '../../transport/timer-wheel.ts'
import type { TimerOwner } from '../../transport/timer-wheel.ts'
import type { Transport, TransportOwner } from '../../transport/transport.ts'
import { CallerConnection } from '../caller-connection.ts'
import type { RpcConnectionDeps } from './deps.ts'
import { idleMs } from './limits.ts'

/** So many bytes tell every protocol. */
const lookBytes = 64
/** And so long they may take to come behind the first one, ms. */
const lookMs = 10_000

export type DetectionDeps = Pick<RpcConnectionDeps, 'accountOf' | 'clock' | 'live' | 'tallies' | 'warn' | 'wheel'>

/** `received`: everything that came so far. null: it looks like HTTP. */
export type OnDetected = (codec: RpcCodec | null, received: Buffer) => void

/**
 * Finds out by its first bytes what a caller speaks: the magic of a private RPC, else HTTP by the letters of a method.
 * Nothing is consumed. Bounded in bytes and time; what is neither is closed. A caller that has said nothing yet is
 * idle, as on any other port, and moves to another process as it is. A protocol whose server speaks first is never
 * found.
 */
export class Detection extends CallerConnection<DetectionDeps> implements TransportOwner, TimerOwner, Movable {
  readonly protocol = 'rpc'
  readonly transport: Transport
  private readonly codecs: readonly RpcCodec[]
  private readonly onDetected: OnDetected
  private readonly timer: Timer
  private bytes: Buffer = Buffer.alloc(0)
  private isOver = false

  constructor(
    deps: DetectionDeps,
    codecs: readonly RpcCodec[],
    accepted: Accepted,
    transport: Transport,
    onDetected: OnDetected,
  ) {
    super(deps, accepted)
    this.codecs = codecs
    this.transport = transport
    this.onDetected = onDetected
    this.timer = new Timer(this, 0)
  }

  open(received: Buffer | null): void {
    this.deps.live.add(this)
    this.transport.owner = this
    this.deps.wheel.arm(this.timer, this.deps.clock.now + idleMs)
    if (received !== null) this.look(received)
    if (!this.isOver) this.transport.resumeReading()
  }

  onBytes(bytes: Buffer, length: number): void {
    this.deps.clock.refresh()
    if (!this.isOver) this.look(Buffer.concat([this.bytes, bytes.subarray(0, length)]))
  }

  private look(bytes: Buffer): void {
    if (bytes.length === 0) return
    if (this.bytes.length === 0) this.deps.wheel.arm(this.timer, this.deps.clock.now + lookMs)
    this.bytes = bytes
    let isOpen = false
    for (const codec of this.codecs) {
      const verdict = codec.detect(bytes, bytes.length)
      if (verdict > 0) {
        this.found(codec)
        return
      }
      isOpen ||= verdict === 0
    }
    const first = bytes[0]!
    if (isOpen && bytes.length < lookBytes) return
    if (first >= 0x41 && first <= 0x5a) this.found(null)
    else this.giveUp('begins in no protocol that is known here')
  }

  private found(codec: RpcCodec | null): void {
    this.leave()
    this.transport.pauseReading()
    this.onDetected(codec, this.bytes)
  }

  private leave(): void {
    this.isOver = true
    this.onReady = null
    this.deps.wheel.drop(this.timer)
    this.deps.live.remove(this)
  }

  private giveUp(why: string): void {
    const { tallies, warn } = this.deps
    tallies.undetectedProtocols++
    const { address, port } = this.transport.peer()
    warn(`connection of ${address}:${port} on ${this.accepted.listener.name} ends: it ${why}`)
    this.end()
  }

  private end(): void {
    if (this.isOver) return
    this.leave()
    this.transport.close()
    this.accepted.onEnd()
  }

  // ---- leaving

  get isReady(): boolean {
    return !this.isOver
  }

  get isIdle(): boolean {
    return this.bytes.length === 0
  }

  takeActivity(): boolean {
    return false
  }

  whenReady(callback: ((connection: Movable) => void) | null): void {
    this.onReady = callback
    if (callback !== null) this.offer(this)
  }

  detach(copies: DescriptorCopies): Detached | undefined {
    if (this.isOver) return undefined
    const { accepted, bytes, deps, transport } = this
    const moved = movedAccepted(accepted, transport, deps.clock.now)
    const { descriptors, format } = leaveProcess([transport], copies)
    this.leave()
    accepted.onEnd()
    const received = bytes.toString('base64')
    return { descriptors, state: { ...format, ...moved, protocol: 'rpc', codec: detected, received, served: 0 } }
  }

  /** It is owed nothing. */
  drain(): void {
    this.end()
  }

  abort(): void {
    this.end()
  }

  // ---- the end

  onTimer(): void {
    this.deps.clock.refresh()
    if (this.isOver) return
    if (this.bytes.length === 0) {
      this.deps.tallies.keepAliveTimeouts++
      this.end()
    } else this.giveUp(`said too little in ${lookMs / 1000} s to tell what it speaks`)
  }

  onEnd(): void {
    this.deps.clock.refresh()
    this.end()
  }

  onDrained(): void {}

  onClosed(): void {
    if (this.isOver) return
    this.leave()
    this.accepted.onEnd()
  }
}
