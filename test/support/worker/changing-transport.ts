import type { PeerIdentity } from '../../../contracts/peer-identity.ts'
import type { Output } from '../../../agent/worker/transport/output.ts'
import { rawTransports } from '../../../agent/worker/transport/raw-handle.ts'
import { noIdentity } from '../../../agent/worker/transport/transport.ts'
import type {
  DetachedTransport,
  Fate,
  Transport,
  TransportOwner,
  TransportPeer,
  Transports,
  TransportState,
} from '../../../agent/worker/transport/transport.ts'

const kind = 'flipped'

/** What `ChangingTransport` does to every byte, and undoes. */
export function flipped(bytes: Buffer): Buffer {
  return Buffer.from(bytes.map((byte) => byte ^ 0x55))
}

/**
 * A transport that changes bytes on their way, as TLS does: what passes it by arrives as nonsense. It has state of its
 * own, and may know who its peer is.
 */
class ChangingTransport implements Transport, TransportOwner {
  owner: TransportOwner
  readonly spliceDescriptor = -1
  private readonly inner: Transport
  readonly identity: PeerIdentity

  constructor(inner: Transport, identity: PeerIdentity) {
    this.inner = inner
    this.identity = identity
    this.owner = inner.owner
    inner.owner = this
  }

  get descriptor(): number {
    return this.inner.descriptor
  }
  get isMovable(): boolean {
    return this.inner.isMovable
  }
  get isClosed(): boolean {
    return this.inner.isClosed
  }
  get pendingBytes(): number {
    return this.inner.pendingBytes
  }

  onBytes(bytes: Buffer, length: number): void {
    this.owner.onBytes(flipped(bytes.subarray(0, length)), length)
  }
  onEnd(): void {
    this.owner.onEnd()
  }
  onDrained(): void {
    this.owner.onDrained()
  }
  onClosed(reason: string): void {
    this.owner.onClosed(reason)
  }

  resumeReading(): void {
    this.inner.resumeReading()
  }
  pauseReading(): void {
    this.inner.pauseReading()
  }
  write(output: Output): boolean {
    const bytes = flipped(output.view())
    output.clear()
    output.copy(bytes, 0, bytes.length)
    return this.inner.write(output)
  }
  /** Goes on with `onBytes`. */
  awaitReadable(): void {}
  writeFrom(memory: Buffer, length: number): boolean {
    return this.inner.writeFrom(flipped(memory.subarray(0, length)), length)
  }
  get hasPeerEnded(): boolean {
    return this.inner.hasPeerEnded
  }

  fateOf(sent: number): Fate {
    return this.inner.fateOf(sent)
  }
  end(): void {
    this.inner.end()
  }
  close(): void {
    this.inner.close()
  }
  reset(): void {
    this.inner.reset()
  }
  detach(): DetachedTransport {
    return { unsent: flipped(this.inner.detach().unsent), state: { kind, body: { identity: this.identity } } }
  }
  release(): void {
    this.inner.release()
  }
  setKeepAlive(delayMs: number): void {
    this.inner.setKeepAlive(delayMs)
  }
  peer(): TransportPeer {
    return { ...this.inner.peer(), identity: this.identity }
  }
}

/** Raw transports; what is accepted is spoken to in changed bytes. Fit for `WorkerOptions.transports`. */
export function changingTransports(identity: PeerIdentity = noIdentity): (output: Output) => Promise<Transports> {
  return async (output) => {
    const inner = rawTransports(output)
    return {
      ...inner,
      listen: (options, onAccept) =>
        inner.listen(options, (transport) => onAccept(new ChangingTransport(transport, identity))),
      open(descriptor: number, state: TransportState | null) {
        if (state?.kind !== kind) return inner.open(descriptor, state)
        const { identity: known } = state.body as { readonly identity: PeerIdentity }
        return new ChangingTransport(inner.open(descriptor, null), known)
      },
    }
  }
}
