import type { Field } from './field.ts'

/**
 * What a peer's encoder put aside, newest first. Fields are shared with the heads that hold them. A ring, so that
 * nothing is moved when the oldest goes.
 */
export class DynamicTable {
  /** Bytes of all fields, each with its overhead. */
  size = 0
  length = 0
  /** Grows when what an index means has changed: the same bytes under the same version mean the same fields. */
  version = 0
  private ring: (Field | null)[] = []
  private newest = -1
  private limit: number

  constructor(limit: number) {
    this.limit = limit
  }

  get maxSize(): number {
    return this.limit
  }

  /** `index` from 0, the newest. undefined = there is none. */
  at(index: number): Field | undefined {
    if (index >= this.length) return undefined
    return this.ring[(this.newest - index) & (this.ring.length - 1)]!
  }

  /** A field that is larger than the table empties it (RFC 7541 section 4.4). */
  add(field: Field): void {
    this.version++
    this.evictTo(this.limit - field.size)
    if (field.size > this.limit) return
    if (this.length === this.ring.length) this.grow()
    this.newest = (this.newest + 1) & (this.ring.length - 1)
    this.ring[this.newest] = field
    this.length++
    this.size += field.size
  }

  resize(limit: number): void {
    this.limit = limit
    if (this.size > limit) {
      this.version++
      this.evictTo(limit)
    }
  }

  /** Oldest first: adding them in this order makes the same table. */
  entries(): Field[] {
    return Array.from({ length: this.length }, (_, index) => this.at(this.length - 1 - index)!)
  }

  private evictTo(size: number): void {
    const mask = this.ring.length - 1
    while (this.size > size && this.length > 0) {
      const oldest = (this.newest - this.length + 1) & mask
      this.size -= this.ring[oldest]!.size
      this.ring[oldest] = null
      this.length--
    }
  }

  private grow(): void {
    const entries = this.entries()
    const capacity = Math.max(8, this.ring.length * 2)
    this.ring = Array.from({ length: capacity }, (_, at) => entries[at] ?? null)
    this.newest = entries.length - 1
  }
}
