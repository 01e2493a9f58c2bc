import type { AttributeEdits, AttributeVisitor } from '../codec.ts'
import { isSameName } from '../names.ts'
import type { Names } from '../names.ts'
import { readNumber, writeNumber } from './number.ts'

/** A table of pairs of strings, each behind its length of 1 to 4 bytes. */
export class PairTable {
  /** Of the pair that `step` found last. */
  nameFrom = 0
  nameTo = 0
  valueFrom = 0
  private readonly nameBytes: number
  private readonly valueBytes: number
  private readonly isLittle: boolean

  constructor(nameBytes: number, valueBytes: number, isLittle: boolean) {
    this.nameBytes = nameBytes
    this.valueBytes = valueBytes
    this.isLittle = isLittle
  }

  /** Reads the pair at `from`; answers where its value ends, or -1 where it does not fit before `to`. */
  step(buf: Buffer, from: number, to: number): number {
    const { isLittle, nameBytes, valueBytes } = this
    const nameFrom = from + nameBytes
    if (nameFrom > to) return -1
    const nameTo = nameFrom + readNumber(buf, from, nameBytes, isLittle)
    const valueFrom = nameTo + valueBytes
    if (valueFrom > to) return -1
    const valueTo = valueFrom + readNumber(buf, nameTo, valueBytes, isLittle)
    if (valueTo > to) return -1
    this.nameFrom = nameFrom
    this.nameTo = nameTo
    this.valueFrom = valueFrom
    return valueTo
  }

  find(buf: Buffer, from: number, to: number, name: string): string | undefined {
    for (let at = from; at < to;) {
      const next = this.step(buf, at, to)
      if (next < 0) return undefined
      if (isSameName(buf, this.nameFrom, this.nameTo, name)) return buf.toString('utf8', this.valueFrom, next)
      at = next
    }
    return undefined
  }

  visit(buf: Buffer, from: number, to: number, names: Names, visit: AttributeVisitor): void {
    for (let at = from; at < to;) {
      const next = this.step(buf, at, to)
      if (next < 0) return
      const name = names.get(buf, this.nameFrom, this.nameTo).toLowerCase()
      visit(name, buf.toString('utf8', this.valueFrom, next))
      at = next
    }
  }

  /** null where a string is too long for its length. */
  edited(buf: Buffer, from: number, to: number, edits: AttributeEdits): Buffer | null {
    const parts: Buffer[] = []
    for (let at = from; at < to;) {
      const next = this.step(buf, at, to)
      if (next < 0) return null
      const name = buf.toString('utf8', this.nameFrom, this.nameTo).toLowerCase()
      if (!edits.drop.has(name)) parts.push(buf.subarray(at, next))
      at = next
    }
    for (const [name, value] of edits.add) {
      for (const [text, bytes] of [
        [name, this.nameBytes],
        [value, this.valueBytes],
      ] as const) {
        const written = Buffer.from(text)
        if (written.length > 2 ** (8 * bytes) - 1) return null
        const length = Buffer.alloc(bytes)
        writeNumber(length, written.length, 0, bytes, this.isLittle)
        parts.push(length, written)
      }
    }
    return Buffer.concat(parts)
  }
}
