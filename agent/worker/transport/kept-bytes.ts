/**
 * A piece that is added behind another one gets memory for what may follow it: as much as there is already, at least
 * and at most so many bytes. So thousands of bytes that come one by one are few pieces, and what comes at once is
 * copied into memory of its size.
 */
const leastMemory = 256
const mostMemory = 16_384
/** Pieces that were taken are let go together. */
const leastTaken = 16

interface Piece {
  readonly memory: Buffer
  /** Bytes of it that are in use. */
  length: number
}

/**
 * Bytes that wait for somebody to take them, in their order. Memory: at most twice the bytes, and 256. The bound in
 * bytes is the user's own.
 */
export class KeptBytes {
  length = 0
  /** How often something was added since it was empty. */
  additions = 0
  private pieces: Piece[] = []
  /** The first piece that is left, and what was taken of it. */
  private at = 0
  private taken = 0

  /** Copies. */
  add(buf: Buffer, from: number, to: number): void {
    if (to <= from) return
    this.additions++
    const last = this.pieces.at(-1)
    let start = from
    if (last !== undefined && last.length < last.memory.length) {
      start = Math.min(to, from + last.memory.length - last.length)
      last.length += buf.copy(last.memory, last.length, from, start)
    }
    if (start < to) {
      const count = to - start
      const room = this.length === 0 ? count : Math.min(mostMemory, Math.max(leastMemory, this.length))
      const memory = Buffer.allocUnsafeSlow(Math.max(count, room))
      buf.copy(memory, 0, start, to)
      this.pieces.push({ memory, length: count })
    }
    this.length += to - from
  }

  /** The first piece that is left, or what is left of it. Its bytes stay as they are. */
  first(): Buffer {
    const { length, memory } = this.pieces[this.at]!
    return memory.subarray(this.taken, length)
  }

  /** Takes `count` bytes, at most as many as there are. */
  drop(count: number): void {
    this.length -= count
    if (this.length === 0) return this.clear()
    this.taken += count
    for (let piece = this.pieces[this.at]!; this.taken >= piece.length; piece = this.pieces[this.at]!) {
      this.taken -= piece.length
      this.at++
    }
    if (this.at < leastTaken || this.at * 2 < this.pieces.length) return
    this.pieces.splice(0, this.at)
    this.at = 0
  }

  /** A copy of everything. */
  whole(): Buffer {
    const left = this.pieces.slice(this.at).map(({ length, memory }) => memory.subarray(0, length))
    return Buffer.concat(left).subarray(this.taken)
  }

  clear(): void {
    if (this.pieces.length > 0) this.pieces = []
    this.length = 0
    this.additions = 0
    this.at = 0
    this.taken = 0
  }
}
