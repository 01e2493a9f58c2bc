import { takeFailed } from '../../../../native/kernel-pipe.ts'
import type { BodyReader } from '../../../../http1/body-reader.ts'
import { BulkFlow, smallMove } from '../../transport/bulk-flow.ts'
import type { BulkMover } from '../../transport/bulk-flow.ts'
import type { Transport } from '../../transport/transport.ts'

/**
 * The content of a large reply of known length, moved from the endpoint to the caller inside the kernel. Its last bytes
 * never are: they are read, so that its end, and what an endpoint sends behind it, is seen where the end of every reply
 * is.
 */
export class BulkReply {
  private readonly mover: BulkMover
  /** Made by the first large reply. */
  private flow: BulkFlow | null = null

  constructor(mover: BulkMover) {
    this.mover = mover
  }

  /**
   * After a full read that did not end the body: whether the rest of it shall be moved. `from` then tells when there is
   * something to move.
   */
  begins(body: BodyReader, from: Transport, to: Transport): void {
    if (body.remaining <= smallMove || !this.mover.mayMove(from, to)) return
    this.flow ??= new BulkFlow(this.mover)
    from.awaitReadable(true)
  }

  /** Moves what is there: bytes moved, 0 when `from` is read again, `takeFailed` when it is broken. */
  move(body: BodyReader, from: Transport, to: Transport): number {
    const most = body.remaining - smallMove
    const moved = this.flow!.move(from, to, most)
    if (moved === takeFailed) return takeFailed
    if (moved <= smallMove || moved === most) from.awaitReadable(false)
    if (moved <= 0) return 0
    body.skip(moved)
    return moved
  }

  /** The caller has taken everything, or the reply is over. */
  release(): void {
    this.flow?.release()
  }
}
