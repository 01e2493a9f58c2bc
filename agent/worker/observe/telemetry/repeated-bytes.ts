import type { ProtoBytes } from './proto-bytes.ts'

/**
 * Attributes that are the same in one record after the other: encoded when one of their values changes, copied
 * otherwise.
 */
export class RepeatedBytes {
  private readonly last: unknown[] = []
  private block: Buffer = Buffer.alloc(0)
  /** Of the record in hand: fill it, then call `put`. */
  readonly values: unknown[] = []

  put(into: ProtoBytes, encode: (into: ProtoBytes) => void): void {
    const { last, values } = this
    let isSame = this.block.length > 0
    for (let index = 0; index < values.length; index++) {
      if (values[index] === last[index]) continue
      isSame = false
      last[index] = values[index]
    }
    if (isSame) {
      this.block.copy(into.bytes, into.length)
      into.length += this.block.length
      return
    }
    const from = into.length
    encode(into)
    this.block = Buffer.from(into.bytes.subarray(from, into.length))
  }
}
