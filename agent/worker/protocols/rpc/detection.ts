import type { RpcCodec } from '../../../../rpc/codec.ts'
import type { Accepted } from '../../listen/accepted.ts'
import type { Tallies } from '../../observe/tallies.ts'
import type { Clock } from '../../transport/clock.ts'
import { Timer } from '../../transport/timer-wheel.ts'
import type { TimerOwner, TimerWheel } from '../../transport/timer-wheel.ts'
import type { Transport, TransportOwner } from '../../transport/transport.ts'
import { idleMs } from './limits.ts'

/** So many bytes tell every protocol. */
const lookBytes = 64
/** And so long they may take to come behind the first one, ms. */
const lookMs = 10_000

export interface DetectionDeps {
  readonly clock: Clock
  readonly wheel: TimerWheel
  readonly tallies: Pick<Tallies, 'keepAliveTimeouts' | 'undetectedProtocols'>
  readonly warn: (message: string) => void
}

/** `received`: everything that came so far. null: it looks like HTTP. */
export type OnDetected = (codec: RpcCodec | null, received: Buffer) => void

/**
 * Finds out by its first bytes what a caller speaks: the magic of a private RPC, else HTTP by the letters of a method.
 * Nothing is consumed. Bounded in bytes and time; what is neither is closed. A caller that has said nothing yet is
 * idle, as on any other port. A protocol whose server speaks first is never found.
 */
export class Detection implements TransportOwner, TimerOwner {
  private readonly deps: DetectionDeps
  private readonly codecs: readonly RpcCodec[]
  private readonly accepted: Accepted
  private readonly transport: Transport
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
    this.deps = deps
    this.codecs = codecs
    this.accepted = accepted
    this.transport = transport
    this.onDetected = onDetected
    this.timer = new Timer(this, 0)
  }

  open(received: Buffer | null): void {
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
    this.deps.wheel.drop(this.timer)
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
