/** Bytes that come in pieces of any size, as one buffer with a bound: a piece of one byte costs one byte. */
export class GrowingBuffer {
  private readonly most: number
  private bytes = Buffer.alloc(0)
  private used = 0

  constructor(most: number) {
    this.most = most
  }

  get length(): number {
    return this.used
  }

  /** False = it would be longer than the bound, and nothing was added. */
  add(piece: Buffer): boolean {
    const length = this.used + piece.length
    if (length > this.most) return false
    if (length > this.bytes.length) {
      const larger = Buffer.allocUnsafe(Math.min(this.most, Math.max(length, this.bytes.length * 2, 4096)))
      this.bytes.copy(larger, 0, 0, this.used)
      this.bytes = larger
    }
    piece.copy(this.bytes, this.used)
    this.used = length
    return true
  }

  /** What was added since the last one, as text. */
  take(): string {
    const text = this.bytes.toString('utf8', 0, this.used)
    this.used = 0
    // one long line does not cost its memory for ever
    if (this.bytes.length > 65_536) this.bytes = Buffer.alloc(0)
    return text
  }
}
