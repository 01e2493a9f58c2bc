import { parseProxyHeader, tlvText } from '../../../contracts/proxy-protocol.ts'
import type { ProxyHeader } from '../../../contracts/proxy-protocol.ts'
import type { LimitsSpec } from '../../../contracts/snapshot.ts'
import { proxyTlv } from '../../../contracts/words.ts'
import type { Tallies } from '../observe/tallies.ts'
import type { Clock } from '../transport/clock.ts'
import { Timer } from '../transport/timer-wheel.ts'
import type { TimerOwner, TimerWheel } from '../transport/timer-wheel.ts'
import type { Transport, TransportOwner } from '../transport/transport.ts'
import type { Arriving, IntakeStep, NextStep } from './arriving.ts'
import type { MovedProxyInfo } from './movable.ts'

export interface ProxyIntakeDeps {
  readonly wheel: TimerWheel
  readonly clock: Clock
  readonly limits: () => LimitsSpec
  readonly tallies: Tallies
}

/** Reads the PROXY protocol header where the listener wants one. A relay's connections always have one. */
export class ProxyIntake implements IntakeStep {
  private readonly deps: ProxyIntakeDeps

  constructor(deps: ProxyIntakeDeps) {
    this.deps = deps
  }

  begin(arriving: Arriving, next: NextStep): void {
    if (arriving.spec.proxyProtocol === 'off' && arriving.spec.kind !== 'relay') next(arriving)
    else void new HeaderRead(this.deps, arriving, next)
  }
}

/**
 * Reads one header at the start of a connection; what follows it is kept for the next step. Anything else, a header
 * that is not complete in time, or a caller that ends before, closes the connection: guessing would let a caller forge
 * addresses.
 */
class HeaderRead implements TransportOwner, TimerOwner {
  private readonly deps: ProxyIntakeDeps
  private readonly arriving: Arriving
  private readonly next: NextStep
  private readonly timer: Timer
  private received = Buffer.alloc(0)
  private isOver = false

  constructor(deps: ProxyIntakeDeps, arriving: Arriving, next: NextStep) {
    this.deps = deps
    this.arriving = arriving
    this.next = next
    this.timer = new Timer(this, 0)
    deps.wheel.arm(this.timer, deps.clock.refresh() + deps.limits().headTimeoutMs)
    arriving.transport.owner = this
    arriving.transport.resumeReading()
  }

  onBytes(bytes: Buffer, length: number): void {
    this.received = Buffer.concat([this.received, bytes.subarray(0, length)])
    const parsed = parseProxyHeader(this.received)
    if (parsed.kind === 'more') return
    if (parsed.kind === 'bad') {
      this.fail()
      return
    }
    const { arriving } = this
    this.finish()
    arriving.transport.pauseReading()
    arriving.proxy = proxyInfo(parsed.header, arriving.transport)
    arriving.introduction = { header: parsed.header, bytes: this.received.subarray(0, parsed.length) }
    arriving.received = this.received.subarray(parsed.length)
    this.next(arriving)
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
    this.deps.tallies.badProxyHeaders++
    this.arriving.end()
  }
}

/** The facts that the road needs of a header. A `local` header speaks for itself and brings no addresses. */
function proxyInfo(header: ProxyHeader, transport: Transport): MovedProxyInfo {
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
