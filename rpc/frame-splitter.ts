import type { RpcCodec } from './codec.ts'
import type { HeldBudget } from './held-budget.ts'

/** Memory of a connection's partial frame that no budget is asked for, and that is kept for the next one. */
export const freeBytes = 4096
/** Added to a partial frame whose length is not known yet. */
const lookBytes = 64

export interface FrameReceiver {
  /** A whole frame `buf[at..end)`, valid until the call returns. False: it takes no more until `resume`. */
  onFrame(buf: Buffer, at: number, end: number): boolean
  /** What came is no frame of the protocol (`FrameFault`), or `overBudget`. Nothing follows. */
  onFault(fault: number): void
}

/** No memory is left for a frame that is not whole yet. */
export const overBudget = -100

/**
 * Cuts what comes on a connection into whole frames, wherever reads cut them. A frame that lies in one read is told
 * where it lies; what a read leaves of a frame is kept in memory that grows as bytes come, never by what a length
 * claims.
 */
export class FrameSplitter {
  private readonly codec: RpcCodec
  private readonly receiver: FrameReceiver
  private readonly budget: HeldBudget
  private readonly maxBytes: number
  private memory: Buffer | null = null
  private heldBytes = 0
  private charged = 0
  private isStopped = false
  private isClosed = false
  private isBusy = false
  private readonly holderOf: () => string
  /** Found out with the first frame that needs memory. */
  private holder: string | null = null

  /** `maxBytes`: of one frame. `holderOf`: whose part of the budget it uses. */
  constructor(codec: RpcCodec, receiver: FrameReceiver, budget: HeldBudget, maxBytes: number, holderOf: () => string) {
    this.holderOf = holderOf
    this.codec = codec
    this.receiver = receiver
    this.budget = budget
    this.maxBytes = maxBytes
  }

  /** Bytes that came and were not told: of a partial frame, or behind a frame after which no more was taken. */
  get waiting(): number {
    return this.heldBytes
  }

  /** A copy of them. */
  rest(): Buffer {
    return this.memory === null ? Buffer.alloc(0) : Buffer.from(this.memory.subarray(0, this.heldBytes))
  }

  feed(bytes: Buffer, length: number): void {
    if (this.isClosed) return
    let at = 0
    if (this.isStopped) {
      this.keep(bytes, 0, length)
      return
    }
    while (this.heldBytes > 0 && at < length) {
      const missing = this.missing()
      if (missing < 0) return
      const to = Math.min(length, at + missing)
      if (!this.keep(bytes, at, to)) return
      at = to
      if (this.tellHeld() === 0) continue
      if (this.isClosed) return
      if (this.isStopped) {
        this.keep(bytes, at, length)
        return
      }
    }
    if (at < length) this.keep(bytes, this.tell(bytes, at, length), length)
  }

  /** Goes on behind a frame after which no more was taken. */
  resume(): void {
    if (!this.isStopped || this.isClosed || this.isBusy) return
    this.isStopped = false
    if (this.heldBytes > 0) this.tellHeld()
  }

  /** How many bytes the partial frame needs next; below 0: it is over. */
  private missing(): number {
    const { memory, heldBytes } = this
    const length = this.codec.measure(memory!, 0, heldBytes, this.maxBytes)
    if (length < 0) {
      this.fault(length)
      return -1
    }
    return length === 0 ? lookBytes : length - heldBytes
  }

  /** Tells what is whole among the kept bytes, and keeps the rest. Answers how many were told. */
  private tellHeld(): number {
    const memory = this.memory!
    const end = this.heldBytes
    const told = this.tell(memory, 0, end)
    if (this.isClosed || told === 0) return told
    memory.copyWithin(0, told, end)
    this.heldBytes = end - told
    if (this.heldBytes === 0) this.shrink()
    return told
  }

  /** Answers where the bytes begin that were not told. */
  private tell(buf: Buffer, from: number, to: number): number {
    const { codec, maxBytes, receiver } = this
    let at = from
    this.isBusy = true
    while (at < to && !this.isStopped && !this.isClosed) {
      const length = codec.measure(buf, at, to, maxBytes)
      if (length < 0) {
        this.fault(length)
        break
      }
      if (length === 0 || length > to - at) break
      const end = at + length
      if (!receiver.onFrame(buf, at, end)) this.isStopped = true
      at = end
    }
    this.isBusy = false
    return at
  }

  private fault(fault: number): void {
    this.close()
    this.receiver.onFault(fault)
  }

  /** False when there is no memory for it. */
  private keep(bytes: Buffer, from: number, to: number): boolean {
    const count = to - from
    if (count <= 0 || this.isClosed) return true
    const needed = this.heldBytes + count
    if (this.memory === null || this.memory.length < needed) {
      const size = Math.max(freeBytes, needed <= freeBytes ? 0 : Math.max(needed, (this.memory?.length ?? 0) * 2))
      const charge = size > freeBytes ? size : 0
      if (charge > this.charged && !this.charge(charge)) {
        this.fault(overBudget)
        return false
      }
      const grown = Buffer.allocUnsafeSlow(size)
      this.memory?.copy(grown, 0, 0, this.heldBytes)
      this.memory = grown
    }
    bytes.copy(this.memory, this.heldBytes, from, to)
    this.heldBytes = needed
    return true
  }

  private charge(bytes: number): boolean {
    this.holder ??= this.holderOf()
    if (!this.budget.take(bytes - this.charged, this.holder)) return false
    this.charged = bytes
    return true
  }

  private shrink(): void {
    if (this.charged === 0) return
    this.giveBack()
    this.memory = null
  }

  private giveBack(): void {
    if (this.charged > 0) this.budget.give(this.charged, this.holder!)
    this.charged = 0
  }

  /** Nothing is told any more. */
  close(): void {
    if (this.isClosed) return
    this.isClosed = true
    this.heldBytes = 0
    this.giveBack()
    this.memory = null
  }
}
