/** Two transports of memory that are each other's other end. */
import { MemoryTransport } from '../memory-transport.ts'

export class WirePair {
  readonly left: MemoryTransport = new MemoryTransport()
  readonly right: MemoryTransport = new MemoryTransport()
  private leftDone = 0
  private rightDone = 0

  /** Carries bytes until nothing moves any more. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < 3;) {
      await new Promise((resolve) => setImmediate(resolve))
      const toRight = this.left.received.subarray(this.leftDone)
      const toLeft = this.right.received.subarray(this.rightDone)
      this.leftDone += toRight.length
      this.rightDone += toLeft.length
      if (toRight.length > 0 && !this.right.isClosed) this.right.send(Buffer.from(toRight))
      if (toLeft.length > 0 && !this.left.isClosed) this.left.send(Buffer.from(toLeft))
      quiet = toRight.length + toLeft.length > 0 ? 0 : quiet + 1
    }
  }
}
