import { defaultFrameBytes, frameHeaderBytes } from './frames.ts'

export interface FrameSink {
  /** One whole frame; its payload is `buf[from..to)`. False = no more frames are wanted. */
  onFrame(type: number, flags: number, streamId: number, buf: Buffer, from: number, to: number): boolean
  /** A frame larger than we said we take. */
  onTooLong(): void
}

/** Cuts what arrives into frames, in place. Only a frame that has not come whole is copied. Holds at most one frame. */
export class FrameSplitter {
  private held: Buffer | null = null
  private heldLength = 0
  private readonly sink: FrameSink

  constructor(sink: FrameSink) {
    this.sink = sink
  }

  /** A copy of the frame that has not come whole. */
  get rest(): Buffer {
    return this.held === null ? Buffer.alloc(0) : Buffer.from(this.held.subarray(0, this.heldLength))
  }

  feed(buf: Buffer, start: number, end: number): void {
    let at = start
    if (this.held !== null) {
      at = this.fill(buf, start, end)
      if (at < 0) return
    }
    while (end - at >= frameHeaderBytes) {
      const length = lengthOf(buf, at)
      if (length > defaultFrameBytes) {
        this.sink.onTooLong()
        return
      }
      const next = at + frameHeaderBytes + length
      if (next > end) break
      if (!this.give(buf, at, next)) return
      at = next
    }
    if (at < end) this.hold(buf, at, end)
  }

  private give(buf: Buffer, at: number, end: number): boolean {
    const id = ((buf[at + 5]! & 0x7f) << 24) | (buf[at + 6]! << 16) | (buf[at + 7]! << 8) | buf[at + 8]!
    return this.sink.onFrame(buf[at + 3]!, buf[at + 4]!, id, buf, at + frameHeaderBytes, end)
  }

  private hold(buf: Buffer, at: number, end: number): void {
    const known = end - at >= frameHeaderBytes ? frameHeaderBytes + lengthOf(buf, at) : frameHeaderBytes
    this.held = Buffer.allocUnsafeSlow(known)
    this.heldLength = buf.copy(this.held, 0, at, end)
  }

  /** Completes what is held; answers where the next frame begins, or -1 when there is none yet. */
  private fill(buf: Buffer, start: number, end: number): number {
    let at = start
    for (;;) {
      const held = this.held!
      const count = Math.min(held.length - this.heldLength, end - at)
      buf.copy(held, this.heldLength, at, at + count)
      at += count
      this.heldLength += count
      if (this.heldLength < held.length) return -1
      const length = lengthOf(held, 0)
      if (length > defaultFrameBytes) {
        this.sink.onTooLong()
        return -1
      }
      if (held.length === frameHeaderBytes + length) break
      this.held = Buffer.allocUnsafeSlow(frameHeaderBytes + length)
      held.copy(this.held)
    }
    const whole = this.held!
    this.held = null
    return this.give(whole, 0, whole.length) ? at : -1
  }

  clear(): void {
    this.held = null
  }
}

function lengthOf(buf: Buffer, at: number): number {
  return (buf[at]! << 16) | (buf[at + 1]! << 8) | buf[at + 2]!
}
