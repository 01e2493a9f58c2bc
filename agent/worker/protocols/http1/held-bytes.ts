/**
 * Bytes that were received and cannot be consumed yet. Grows by doubling, so that a message dripping in byte by byte is
 * copied a logarithmic number of times.
 */
export class HeldBytes {
  bytes: Buffer
  start = 0
  end = 0

  constructor(bytes: Buffer, from: number, to: number) {
    const length = to - from
    this.bytes = Buffer.allocUnsafeSlow(Math.max(256, length))
    bytes.copy(this.bytes, 0, from, to)
    this.end = length
  }

  get length(): number {
    return this.end - this.start
  }

  /** What is held, in memory of its own. */
  copy(): Buffer {
    return Buffer.from(this.bytes.subarray(this.start, this.end))
  }

  append(source: Buffer, from: number, to: number): void {
    const count = to - from
    if (this.end + count > this.bytes.length) {
      const held = this.length
      const grown =
        held + count <= this.bytes.length
          ? this.bytes
          : Buffer.allocUnsafeSlow(Math.max(held + count, this.bytes.length * 2))
      this.bytes.copy(grown, 0, this.start, this.end)
      this.bytes = grown
      this.start = 0
      this.end = held
    }
    source.copy(this.bytes, this.end, from, to)
    this.end += count
  }
}
