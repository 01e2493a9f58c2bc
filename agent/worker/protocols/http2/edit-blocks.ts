import { Output } from '../../transport/output.ts'
import type { Fields, HeaderEdits } from '../../forward/streams.ts'
import { writeField } from './hpack/encoder.ts'

/** Fields as a block, for those that are written again and again. */
export function blockOf(fields: Fields): Buffer {
  const out = new Output(1024, 0)
  for (const [name, value] of fields) writeField(out, name, value)
  return Buffer.from(out.view())
}

/** Via of a message that came in HTTP/1.1, and of one that came in HTTP/2. `pseudonym`: our name in it. */
export function viaBlocks(pseudonym: string): readonly [Buffer, Buffer] {
  return [blockOf([['via', `1.1 ${pseudonym}`]]), blockOf([['via', `2.0 ${pseudonym}`]])]
}

/**
 * What edits add, as blocks. Edits are part of the snapshot, or of an answer to one request; what was made of them
 * lives here as long as they do.
 */
export class EditBlocks {
  private readonly known = new WeakMap<Fields, Buffer>()

  of(fields: Fields): Buffer {
    const known = this.known.get(fields)
    if (known !== undefined) return known
    const made = blockOf(fields)
    this.known.set(fields, made)
    return made
  }

  /** All that the head in hand is changed by. */
  readonly edits: HeaderEdits[] = []

  isDropped(name: string): boolean {
    for (const { drop } of this.edits) if (drop.has(name)) return true
    return false
  }
}
