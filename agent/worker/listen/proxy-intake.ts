import { parseProxyHeader, tlvText } from '../../../contracts/proxy-protocol.ts'
import type { ProxyHeader } from '../../../contracts/proxy-protocol.ts'
import { proxyTlv } from '../../../contracts/words.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner, TimerWheel } from '../transport/timer-wheel.ts'
import type { Transport, TransportOwner } from '../transport/transport.ts'
import type { MovedProxyInfo } from './movable.ts'

export interface ProxyIntakeDeps {
  readonly wheel: TimerWheel
  /** Monotonic ms. */
  readonly now: () => number
  readonly timeoutMs: number
}

/**
 * Reads the PROXY protocol header at the start of a connection and hands on what follows. Anything else, a header that is not complete in time, or a caller that
 * ends before, closes the connection: guessing would let a caller forge addresses.
 */
export class ProxyIntake implements TransportOwner, TimerOwner {
  private readonly deps: ProxyIntakeDeps
  private readonly transport: Transport
  private readonly onHeader: (header: ProxyHeader, rest: Buffer) => void
  private readonly onFailed: () => void
  private readonly timer: Timer
  private received = Buffer.alloc(0)
  private isOver = false

  /** Exactly one of the callbacks is called. After `onFailed` the transport is closed; after `onHeader` it is paused. */
  constructor(
    deps: ProxyIntakeDeps,
    transport: Transport,
    onHeader: (header: ProxyHeader, rest: Buffer) => void,
    onFailed: () => void,
  ) {
    this.deps = deps
    this.transport = transport
    this.onHeader = onHeader
    this.onFailed = onFailed
    this.timer = new Timer(this, 0)
    deps.wheel.arm(this.timer, deps.now() + deps.timeoutMs)
    transport.owner = this
    transport.resumeReading()
  }

  onBytes(bytes: Buffer, length: number): void {
    this.received = Buffer.concat([this.received, bytes.subarray(0, length)])
    const parsed = parseProxyHeader(this.received)
    if (parsed.kind === 'more') return
    if (parsed.kind === 'bad') {
      this.fail()
      return
    }
    this.finish()
    this.transport.pauseReading()
    this.onHeader(parsed.header, this.received.subarray(parsed.length))
  }

  onEnd(): void {
    this.fail()
  }

  onDrained(): void {}

  onClosed(): void {
    this.fail()
  }

  onTimer(): void {
    this.fail()
  }

  private finish(): void {
    this.isOver = true
    this.deps.wheel.drop(this.timer)
  }

  private fail(): void {
    if (this.isOver) return
    this.finish()
    this.transport.close()
    this.onFailed()
  }
}

/** The facts that the road needs of a header. A `local` header speaks for itself and brings no addresses. */
export function proxyInfo(header: ProxyHeader, transport: Transport): MovedProxyInfo {
  const peer = transport.peer()
  return {
    sourceAddress: header.source?.address ?? peer.address,
    sourcePort: header.source?.port ?? peer.port,
    destinationAddress: header.destination?.address ?? peer.localAddress,
    destinationPort: header.destination?.port ?? peer.localPort,
    service: tlvText(header, proxyTlv.service),
    host: tlvText(header, proxyTlv.host),
  }
}
