/**
 * Bytes that wait for more of their kind, in one growing buffer. Bounded by who appends: a head is judged at each
 * piece.
 */
export class Held {
  bytes: Buffer = Buffer.alloc(0)
  start = 0
  end = 0

  get length(): number {
    return this.end - this.start
  }

  append(piece: Buffer): void {
    if (this.end + piece.length > this.bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(1024, 2 * (this.length + piece.length)))
      this.bytes.copy(larger, 0, this.start, this.end)
      this.bytes = larger
      this.end -= this.start
      this.start = 0
    }
    piece.copy(this.bytes, this.end)
    this.end += piece.length
  }

  consume(count: number): void {
    this.start += count
  }

  /** What is there, in memory of its own; nothing is held afterwards. */
  take(): Buffer {
    const taken = Buffer.from(this.bytes.subarray(this.start, this.end))
    this.bytes = Buffer.alloc(0)
    this.start = 0
    this.end = 0
    return taken
  }
}
