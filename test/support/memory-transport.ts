/** A transport without a socket: the test is the other end of the wire, says when it reads, and sees every byte. */
import { noIdentity } from '../../agent/worker/transport/transport.ts'
import type {
  DetachedTransport,
  Transport,
  TransportOwner,
  TransportPeer,
} from '../../agent/worker/transport/transport.ts'
import type { Output } from '../../agent/worker/transport/output.ts'

/** What the other end takes without reading. */
const capacity = 65_536

export class MemoryTransport implements Transport {
  owner: TransportOwner = { onBytes() {}, onEnd() {}, onDrained() {}, onClosed() {} }
  readonly descriptor = -1
  readonly spliceDescriptor = -1
  readonly isMovable = false
  readonly hasPeerEnded = false
  readonly identity = noIdentity
  isClosed = false
  /** The last end was a reset. */
  wasReset = false
  /** FIN was sent. */
  hasSentEnd = false
  pendingBytes = 0
  /** Everything that came out of the transport. */
  received: Buffer = Buffer.alloc(0)
  private isReading = true
  private isPaused = true
  private readonly arriving: (Buffer | 'end')[] = []

  // ---- the other end

  send(data: string | Buffer): void {
    this.arriving.push(typeof data === 'string' ? Buffer.from(data, 'latin1') : data)
    this.deliverSoon()
  }

  sendEnd(): void {
    this.arriving.push('end')
    this.deliverSoon()
  }

  breakNow(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.owner.onClosed('ECONNRESET')
  }

  stopReading(): void {
    this.isReading = false
  }

  readAgain(): void {
    this.isReading = true
    const wasSlow = this.pendingBytes > 0
    this.pendingBytes = 0
    if (wasSlow && !this.isClosed) setImmediate(() => this.isClosed || this.owner.onDrained())
  }

  // ---- our end

  write(output: Output): boolean {
    const bytes = Buffer.from(output.view())
    output.clear()
    if (this.isClosed) return false
    this.received = Buffer.concat([this.received, bytes])
    if (!this.isReading) this.pendingBytes += bytes.length
    if (this.pendingBytes <= capacity) this.pendingBytes = this.isReading ? 0 : this.pendingBytes
    return this.pendingBytes <= capacity
  }

  resumeReading(): void {
    this.isPaused = false
    this.deliverSoon()
  }

  pauseReading(): void {
    this.isPaused = true
  }

  private deliverSoon(): void {
    setImmediate(() => {
      while (!this.isPaused && !this.isClosed) {
        const next = this.arriving.shift()
        if (next === undefined) return
        if (next === 'end') this.owner.onEnd()
        else this.owner.onBytes(next, next.length)
      }
    })
  }

  awaitReadable(): void {}
  writeFrom(): boolean {
    return true
  }
  fateOf(): 0 {
    return 0
  }
  end(): void {
    this.hasSentEnd = true
  }
  close(): void {
    this.isClosed = true
  }
  reset(): void {
    if (!this.isClosed) this.wasReset = true
    this.isClosed = true
  }
  release(): void {
    this.isClosed = true
  }
  detach(): DetachedTransport {
    return { unsent: Buffer.alloc(0), state: null }
  }
  setKeepAlive(): void {}
  peer(): TransportPeer {
    return { address: '127.0.0.1', port: 1, localAddress: '127.0.0.1', localPort: 2, identity: noIdentity }
  }
}
