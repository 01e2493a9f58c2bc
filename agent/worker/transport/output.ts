/**
 * The one buffer in which outgoing bytes are put together before they go to the kernel in one write.
 *
 * A worker has one of these. It is filled and written inside one event; when the kernel does not take all of it, the
 * transport keeps the memory until it has, and the output goes on with fresh memory. Views of common lengths are kept,
 * so that a write of a length seen before allocates nothing.
 */

/** A whole read (64 KiB) with its framing and a response head beside it. Grows when one event produces more. */
const outputCapacity = 128 * 1024

/** Lengths whose views are kept: most heads and small messages. */
const viewsKept = 4096
/** Spare memories that wait for reuse after a slow write; beyond it they are left to the collector. */
const maxSpares = 8
/** Below this a byte loop beats the call into `Buffer.copy`. */
const shortCopy = 24

/** Memory together with the views of its beginnings. */
export class OutputBlock {
  readonly bytes: Buffer
  readonly views: (Buffer | undefined)[]

  constructor(capacity: number, keptViews: number) {
    this.bytes = Buffer.allocUnsafeSlow(capacity)
    this.views = Array.from({ length: keptViews })
  }
}

export class Output {
  /** Where the next bytes go: `bytes[length...]`. Changes with `room` and after a slow write. */
  bytes: Buffer
  length = 0
  private block: OutputBlock
  private readonly spares: OutputBlock[] = []
  private readonly capacity: number
  private readonly keptViews: number

  constructor(capacity: number = outputCapacity, keptViews: number = viewsKept) {
    this.capacity = capacity
    this.keptViews = keptViews
    this.block = new OutputBlock(capacity, keptViews)
    this.bytes = this.block.bytes
  }

  /** Makes sure that `count` more bytes fit. */
  room(count: number): void {
    if (this.length + count > this.bytes.length) this.grow(count)
  }

  copy(source: Buffer, from: number, to: number): void {
    const count = to - from
    if (count <= 0) return
    let at = this.length
    if (at + count > this.bytes.length) this.grow(count)
    const bytes = this.bytes
    this.length = at + count
    if (count <= shortCopy) {
      for (let i = from; i < to; i++) bytes[at++] = source[i]!
    } else {
      source.copy(bytes, at, from, to)
    }
  }

  append(source: Buffer): void {
    this.copy(source, 0, source.length)
  }

  /** `text` must be latin1. */
  latin1(text: string): void {
    const count = text.length
    const at = this.length
    if (at + count > this.bytes.length) this.grow(count)
    const bytes = this.bytes
    this.length = at + count
    if (count <= shortCopy) {
      for (let i = 0; i < count; i++) bytes[at + i] = text.charCodeAt(i)
    } else {
      bytes.write(text, at, count, 'latin1')
    }
  }

  /** Lower-case hexadecimal digits of a non-negative integer. */
  hex(value: number): void {
    this.latin1(value.toString(16))
  }

  /** The bytes so far. The view is good until the output is emptied. */
  view(): Buffer {
    const length = this.length
    if (length >= this.keptViews) return this.bytes.subarray(0, length)
    const views = this.block.views
    const kept = views[length]
    if (kept !== undefined) return kept
    return (views[length] = this.bytes.subarray(0, length))
  }

  clear(): void {
    this.length = 0
  }

  /**
   * Leaves the memory to a slow write and goes on with other memory. What was left is given back to `recycle` when the
   * write is done.
   */
  surrender(): OutputBlock {
    const left = this.block
    this.block = this.spares.pop() ?? new OutputBlock(this.capacity, this.keptViews)
    this.bytes = this.block.bytes
    this.length = 0
    return left
  }

  recycle(block: OutputBlock): void {
    if (block.bytes.length === this.capacity && this.spares.length < maxSpares) this.spares.push(block)
  }

  private grow(count: number): void {
    const grown = new OutputBlock(Math.max(this.bytes.length * 2, this.length + count), this.keptViews)
    this.bytes.copy(grown.bytes, 0, 0, this.length)
    this.block = grown
    this.bytes = grown.bytes
  }
}
