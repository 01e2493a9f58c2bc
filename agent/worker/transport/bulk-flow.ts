/**
 * Bulk from one connection to another inside the kernel, without the bytes ever coming here.
 *
 * A flow moves portions. One starts at 64 KiB and doubles, up to 1 MiB, each time that the receiver took a full portion
 * at once; a receiver that does not is back at 64 KiB. What it left is held here until it has drained, and nothing is
 * taken meanwhile.
 *
 * Bound: a flow holds at most one portion; while all flows of the worker hold `maxHeldBytes` (16 MiB) together, every
 * portion is 64 KiB.
 */
import { nothingToTake } from '../../../native/kernel-pipe.ts'
import type { BytePipe } from '../../../native/kernel-pipe.ts'
import type { Transport } from './transport.ts'

export const smallestPortion = 64 * 1024
export const largestPortion = 1024 * 1024
export const maxHeldBytes = 16 * 1024 * 1024
/** A move of this size or less ends bulk: from here on reading costs less. */
export const smallMove = 8192

/** The one pipe of a worker, and what its flows hold. */
export class BulkMover {
  /** null: bytes have to be read and written. */
  pipe: BytePipe | null
  heldBytes = 0

  constructor(pipe: BytePipe | undefined) {
    this.pipe = pipe ?? null
  }

  /** Whether bytes may pass between the two without being seen here. */
  mayMove(from: Transport, to: Transport): boolean {
    return this.pipe !== null && from.spliceDescriptor >= 0 && to.spliceDescriptor >= 0
  }

  close(): void {
    this.pipe?.close()
    this.pipe = null
  }
}

/** Bulk in one direction, from one transport to another at a time. */
export class BulkFlow {
  private readonly mover: BulkMover
  private portion = smallestPortion
  private held = 0

  constructor(mover: BulkMover) {
    this.mover = mover
  }

  /** The receiver did not take everything: stop the source until the receiver has drained, then call `release`. */
  get isHeld(): boolean {
    return this.held > 0
  }

  /**
   * Moves what is there, at most `atMost` bytes. Answers like `BytePipe.take`; nothing is taken where a transport has
   * to see the bytes, while something is pending at `to`, or when the worker closes.
   */
  move(from: Transport, to: Transport, atMost = largestPortion): number {
    const { mover } = this
    const { pipe } = mover
    if (pipe === null || to.pendingBytes > 0 || !mover.mayMove(from, to)) return nothingToTake
    const allowed = mover.heldBytes < maxHeldBytes ? Math.min(this.portion, pipe.capacity) : smallestPortion
    const asked = Math.min(allowed, atMost)
    const taken = pipe.take(from.spliceDescriptor, asked)
    if (taken <= 0) return taken
    const given = pipe.give(to.spliceDescriptor, taken)
    if (given < taken) this.hold(pipe.rest(taken - given), to)
    else if (taken === this.portion) this.portion = Math.min(this.portion * 2, largestPortion)
    return taken
  }

  /** What was held is gone, or nobody wants it any more. */
  release(): void {
    this.mover.heldBytes -= this.held
    this.held = 0
  }

  private hold(rest: Buffer, to: Transport): void {
    this.portion = smallestPortion
    if (to.writeFrom(rest, rest.length)) return
    this.held += rest.length
    this.mover.heldBytes += rest.length
  }
}
