/**
 * Cuts a byte stream into frames of bounded length. What is longer is read past without being kept: only its first
 * bytes, which say what it answers.
 */

/** xid, zxid and error of a reply. */
const replyHeadBytes = 16

export interface FrameOwner {
  onFrame(frame: Buffer): void
  /** A frame over the bound: its first `replyHeadBytes`, and its length. */
  onOversize(head: Buffer, length: number): void
  /** A length that no frame can have: the stream cannot be read on. */
  onNonsense(length: number): void
}

export class Frames {
  private readonly owner: FrameOwner
  private readonly maxBytes: number
  private chunks: Buffer[] = []
  private held = 0
  /** Length of the frame that is coming, -1 = not known yet. */
  private wanted = -1
  /** Bytes of an oversize frame that are still to be read past. */
  private skip = 0

  constructor(maxBytes: number, owner: FrameOwner) {
    this.maxBytes = maxBytes
    this.owner = owner
  }

  feed(chunk: Buffer): void {
    let bytes = chunk
    if (this.skip > 0) {
      const skipped = Math.min(this.skip, bytes.length)
      this.skip -= skipped
      bytes = bytes.subarray(skipped)
    }
    if (bytes.length === 0) return
    this.chunks.push(bytes)
    this.held += bytes.length
    while (this.step());
  }

  /** One frame or the length of one; false when more bytes are needed. */
  private step(): boolean {
    if (this.wanted < 0) {
      if (this.held < 4) return false
      this.wanted = this.take(4).readInt32BE(0)
      if (this.wanted < 0) {
        this.owner.onNonsense(this.wanted)
        return false
      }
    }
    if (this.wanted > this.maxBytes) return this.passOversize()
    if (this.held < this.wanted) return false
    const frame = this.take(this.wanted)
    this.wanted = -1
    this.owner.onFrame(frame)
    return true
  }

  private passOversize(): boolean {
    if (this.held < replyHeadBytes) return false
    const length = this.wanted
    const head = this.take(replyHeadBytes)
    const rest = length - replyHeadBytes
    const here = Math.min(rest, this.held)
    this.take(here)
    this.skip = rest - here
    this.wanted = -1
    this.owner.onOversize(head, length)
    return this.held > 0
  }

  private take(length: number): Buffer {
    const first = this.chunks[0] ?? Buffer.alloc(0)
    if (first.length < length) {
      const all = Buffer.concat(this.chunks, this.held)
      this.chunks = [all]
      return this.take(length)
    }
    this.held -= length
    if (first.length === length) this.chunks.shift()
    else this.chunks[0] = first.subarray(length)
    return first.subarray(0, length)
  }
}
