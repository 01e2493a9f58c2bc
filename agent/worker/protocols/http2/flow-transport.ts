import type { PeerIdentity } from '../../../../contracts/peer-identity.ts'
import type { Output } from '../../transport/output.ts'
import { Fate } from '../../transport/transport.ts'
import type { DetachedTransport, Transport, TransportOwner, TransportPeer } from '../../transport/transport.ts'
import type { Flow, FlowUser } from './flow.ts'
import { H2Error } from './frames.ts'

const silent: TransportOwner = { onBytes() {}, onEnd() {}, onDrained() {}, onClosed() {} }

/**
 * A stream as a transport, for bytes without messages: a WebSocket of extended CONNECT (RFC 8441). It ends without the
 * connection under it, and does not leave the process without it.
 */
export class FlowTransport implements Transport, FlowUser {
  owner: TransportOwner = silent
  readonly descriptor = -1
  readonly spliceDescriptor = -1
  readonly isMovable = false
  readonly hasPeerEnded = false
  isClosed = false
  private readonly flow: Flow
  private readonly under: Transport
  private isReading = false
  /** The peer's end came before this transport. */
  private owesEnd: boolean

  constructor(flow: Flow, under: Transport) {
    this.flow = flow
    this.under = under
    this.owesEnd = flow.isEndTold
    flow.user = this
    flow.pause()
  }

  get pendingBytes(): number {
    return this.flow.unsent.length
  }

  // ---- the flow

  onHead(): void {}
  onPause(): void {}
  onFault(): void {
    this.close()
  }
  accepts(): boolean {
    return this.isReading
  }
  onContent(buf: Buffer, from: number, to: number): void {
    const piece = from === 0 ? buf : buf.subarray(from, to)
    this.owner.onBytes(piece, to - from)
  }
  onEnd(): void {
    this.owner.onEnd()
  }
  onDrained(): void {
    this.owner.onDrained()
  }
  onReset(_code: number, _isUnprocessed: boolean, why: string): void {
    if (this.isClosed) return
    this.isClosed = true
    this.owner.onClosed(why)
  }

  // ---- the transport

  resumeReading(): void {
    if (this.isReading || this.isClosed) return
    this.isReading = true
    setImmediate(() => {
      if (!this.isReading || this.isClosed) return
      this.flow.resume()
      if (!this.owesEnd) return
      this.owesEnd = false
      this.owner.onEnd()
    })
  }

  pauseReading(): void {
    this.isReading = false
    if (!this.isClosed) this.flow.pause()
  }

  write(output: Output): boolean {
    if (!this.isClosed) this.flow.data(output.bytes, 0, output.length)
    output.clear()
    return !this.isClosed && this.flow.flush()
  }

  writeFrom(memory: Buffer, length: number): boolean {
    if (this.isClosed) return false
    this.flow.data(memory, 0, length)
    return this.flow.flush()
  }

  awaitReadable(): void {}

  fateOf(): Fate {
    return Fate.mayBeRead
  }

  end(): void {
    if (!this.isClosed) this.flow.end(null)
  }

  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.flow.end(null)
    this.flow.release()
  }

  reset(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.flow.reset(H2Error.cancel)
  }

  detach(): DetachedTransport {
    throw new Error('a stream leaves with its connection')
  }

  release(): void {
    this.close()
  }

  setKeepAlive(): void {}

  get identity(): PeerIdentity {
    return this.under.identity
  }

  peer(): TransportPeer {
    return this.under.peer()
  }
}
