import type { OutputPool } from '../../transport/output-pool.ts'
import type { Transport } from '../../transport/transport.ts'
import { TurnWriter } from '../turn-writer.ts'
import type { TurnWriterOwner } from '../turn-writer.ts'
import { maxUnsentBytes } from './limits.ts'

export interface WriterOwner extends TurnWriterOwner {
  /** Frames of this turn were handed to the kernel. */
  onWritten(): void
}

/** What a connection writes: whole frames, counted. */
export class RpcWriter extends TurnWriter<WriterOwner> {
  /** Bytes handed over so far, and those that are put together now. */
  handedOver = 0

  constructor(transport: Transport, pool: OutputPool, owner: WriterOwner) {
    super(transport, pool, owner, maxUnsentBytes)
  }

  /** Bytes of all frames so far, whether they are handed over or not. */
  get total(): number {
    return this.handedOver + this.unsentBytes
  }

  append(frame: Buffer): void {
    this.open().append(frame)
    this.afterFrame()
  }

  protected onLeaving(bytes: number): void {
    this.handedOver += bytes
  }

  protected override onWritten(): void {
    this.owner.onWritten()
  }
}
