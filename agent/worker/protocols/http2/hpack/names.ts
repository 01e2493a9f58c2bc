import { latin1Slice } from '../../../../../http1/latin1.ts'
import { FieldName } from './field.ts'

const slots = 1024
const longestKept = 64

/**
 * Names by their bytes, so that a name that came before costs a comparison and no string. One per worker. Bound: 1,024
 * names of up to 64 bytes; a newcomer takes the place of the one in its slot.
 */
export class NameTable {
  private readonly names: (FieldName | null)[] = Array.from({ length: slots }, () => null)

  get(buf: Buffer, from: number, to: number): FieldName {
    const length = to - from
    if (length > longestKept) return new FieldName(latin1Slice(buf, from, to))
    let hash = length
    for (let i = from; i < to; i++) hash = (Math.imul(hash, 31) + buf[i]!) | 0
    const slot = (hash ^ (hash >>> 15)) & (slots - 1)
    const known = this.names[slot]!
    if (known !== null) {
      const { text } = known
      if (text.length === length) {
        let i = 0
        while (i < length && text.charCodeAt(i) === buf[from + i]) i++
        if (i === length) return known
      }
    }
    return (this.names[slot] = new FieldName(latin1Slice(buf, from, to)))
  }
}
