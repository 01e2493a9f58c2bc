import { parseProxyHeader, tlvText } from '../../../contracts/proxy-protocol.ts'
import type { ProxyHeader } from '../../../contracts/proxy-protocol.ts'
import type { LimitsSpec } from '../../../contracts/snapshot.ts'
import { proxyTlv } from '../../../contracts/words.ts'
import type { Tallies } from '../observe/tallies.ts'
import type { Transport } from '../transport/transport.ts'
import type { Arriving, IntakeStep, NextStep } from './arriving.ts'
import { FirstBytes } from './first-bytes.ts'
import type { FirstBytesDeps } from './first-bytes.ts'
import type { MovedProxyInfo } from './movable.ts'

export interface ProxyIntakeDeps extends FirstBytesDeps {
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
    else new HeaderRead(this.deps, arriving, next).begin(this.deps.limits().headTimeoutMs)
  }
}

/**
 * Reads one header at the start of a connection; what follows it is kept for the next step. Anything else, a header
 * that is not complete in time, or a caller that ends before, closes the connection: guessing would let a caller forge
 * addresses.
 */
class HeaderRead extends FirstBytes {
  private readonly deps: ProxyIntakeDeps
  private readonly next: NextStep

  constructor(deps: ProxyIntakeDeps, arriving: Arriving, next: NextStep) {
    super(deps, arriving)
    this.deps = deps
    this.next = next
  }

  onTimer(): void {
    this.end()
  }

  protected look(): boolean {
    const parsed = parseProxyHeader(this.received)
    if (parsed.kind === 'more') return false
    if (parsed.kind === 'bad') {
      this.end()
      return true
    }
    this.finish()
    const { arriving } = this
    arriving.proxy = proxyInfo(parsed.header, arriving.transport)
    arriving.introduction = { header: parsed.header, bytes: this.received.subarray(0, parsed.length) }
    arriving.received = this.received.subarray(parsed.length)
    this.next(arriving)
    return true
  }

  protected override end(): void {
    if (!this.isOver) this.deps.tallies.badProxyHeaders++
    super.end()
  }
}

/** The facts that the data path needs of a header. A `local` header speaks for itself and brings no addresses. */
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
