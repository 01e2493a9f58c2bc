import type { Output } from '../transport/output.ts'
import type { OutputPool, Writer } from '../transport/output-pool.ts'
import type { Transport } from '../transport/transport.ts'

/** Output of one turn that is written at once, before the turn is over, bytes. */
const flushAboveBytes = 65_536

export interface TurnWriterOwner {
  /** More than the bound waits for a peer that does not read. Told at the end of a turn, never inside a message. */
  onTooMuchUnsent(): void
  /** The kernel does not take what was written, or does again. */
  onSlow(isSlow: boolean): void
}

/**
 * What a connection of frames writes: put together in memory of its own until the end of the turn, then handed to the
 * kernel at once. While the kernel does not take it, more is put behind it, up to a bound.
 */
export abstract class TurnWriter<Owner extends TurnWriterOwner> implements Writer {
  /** The kernel does not take what was written last. */
  isSlow = false
  protected readonly owner: Owner
  protected out: Output | null = null
  private readonly transport: Transport
  private readonly pool: OutputPool
  private readonly maxUnsentBytes: number
  private isDue = false
  private isClosed = false

  /** `maxUnsentBytes`: above it the owner is told that too much waits. */
  constructor(transport: Transport, pool: OutputPool, owner: Owner, maxUnsentBytes: number) {
    this.transport = transport
    this.pool = pool
    this.owner = owner
    this.maxUnsentBytes = maxUnsentBytes
  }

  get unsentBytes(): number {
    return this.out === null ? 0 : this.out.length
  }

  /** Where the next frame goes; `afterFrame` follows it. It leaves at the end of the turn. */
  open(): Output {
    if (!this.isDue && !this.isClosed) {
      this.isDue = true
      this.pool.flushSoon(this)
    }
    return (this.out ??= this.pool.take())
  }

  afterFrame(): void {
    const { out } = this
    if (out !== null && out.length >= flushAboveBytes) this.write()
  }

  flushTurn(): void {
    this.isDue = false
    if (this.isSlow && !this.isClosed && this.unsentBytes > this.maxUnsentBytes) this.owner.onTooMuchUnsent()
    else this.write()
  }

  /** Writes what there is, unless the kernel still has something of before. */
  write(): void {
    const { out } = this
    if (out === null || this.isClosed || this.isSlow) return
    this.out = null
    this.onLeaving(out.length)
    const isTaken = out.length === 0 || this.transport.write(out)
    this.pool.give(out)
    if (!isTaken) {
      this.isSlow = true
      this.owner.onSlow(true)
    }
    if (!this.isClosed) this.onWritten()
  }

  onDrained(): void {
    this.isSlow = false
    this.write()
    if (!this.isSlow && !this.isClosed) this.owner.onSlow(false)
  }

  /** The connection is over: nothing is written any more. */
  close(): void {
    this.isClosed = true
    if (this.out !== null) {
      this.out.clear()
      this.pool.give(this.out)
    }
    this.out = null
  }

  /** That much is handed to the kernel now. */
  protected abstract onLeaving(bytes: number): void
  /** It was handed over, and the connection is still there. */
  protected onWritten(): void {}
}
