/**
 * Memory of their own for connections that carry bulk: what was read can be written without a copy, and in larger pieces. A connection asks when its reads come full, and gives it
 * back when they come small or it ends.
 *
 * Bound: `maxBlocks` blocks (16 MiB) are out at a time; connections beyond that go on through the shared buffer, with a copy.
 */
export const bulkBlockBytes = 256 * 1024
const maxBlocks = 64
const maxKept = 8

export class BulkMemory {
  private readonly kept: Buffer[] = []
  /** Blocks that connections hold. */
  inUse = 0

  take(): Buffer | null {
    if (this.inUse >= maxBlocks) return null
    this.inUse++
    return this.kept.pop() ?? Buffer.allocUnsafeSlow(bulkBlockBytes)
  }

  give(block: Buffer): void {
    this.inUse--
    if (this.kept.length < maxKept) this.kept.push(block)
  }
}
