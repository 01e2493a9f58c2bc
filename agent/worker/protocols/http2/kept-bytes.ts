/** Bytes that wait for somebody to take them, in the pieces in which they came. */
export class KeptBytes {
  length = 0
  private pieces: Buffer[] = []
  /** Taken of the first piece. */
  private taken = 0

  /** Copies. */
  add(buf: Buffer, from: number, to: number): void {
    if (to <= from) return
    this.pieces.push(Buffer.from(buf.subarray(from, to)))
    this.length += to - from
  }

  /** The first piece that is left, or what is left of it. */
  first(): Buffer {
    const [piece] = this.pieces
    return this.taken === 0 ? piece! : piece!.subarray(this.taken)
  }

  drop(count: number): void {
    this.length -= count
    this.taken += count
    while (this.pieces.length > 0 && this.taken >= this.pieces[0]!.length) this.taken -= this.pieces.shift()!.length
  }

  /** A copy of everything. */
  whole(): Buffer {
    return Buffer.concat(this.pieces).subarray(this.taken)
  }

  clear(): void {
    if (this.pieces.length > 0) this.pieces = []
    this.length = 0
    this.taken = 0
  }
}
