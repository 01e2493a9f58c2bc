import type { FixedMemory } from '../../../../native/bare-functions.ts'
import type { FastCalls } from '../../../../native/fast-calls.ts'

/** Where the output's memories lie. It has one at a time, seldom another, and few in all. */
export class OutputMemory {
  private readonly calls: FastCalls
  private last: FixedMemory
  private readonly known = new WeakMap<Buffer, FixedMemory>()

  constructor(calls: FastCalls, first: Buffer) {
    this.calls = calls
    this.last = this.look(first)
  }

  of(bytes: Buffer): FixedMemory {
    return this.last.bytes === bytes ? this.last : (this.last = this.look(bytes))
  }

  private look(bytes: Buffer): FixedMemory {
    const known = this.known.get(bytes)
    if (known !== undefined) return known
    const fixed = this.calls.fix(bytes)
    this.known.set(bytes, fixed)
    return fixed
  }
}
