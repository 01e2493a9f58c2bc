import { DropMatcher } from './drop-matcher.ts'
import type { Fields, HeadEdits } from './types.ts'

/** `name: value` lines. */
export function fieldLines(fields: Fields): string {
  let lines = ''
  for (const [name, value] of fields) lines += `${name}: ${value}\r\n`
  return lines
}

/** Header edits as this codec needs them: the added fields as bytes, the names left out ready for comparison. */
export class EditBytes {
  readonly lines: Buffer
  /** null when nothing is left out. */
  readonly drop: DropMatcher | null

  constructor(edits: HeadEdits) {
    this.lines = Buffer.from(fieldLines(edits.fields), 'latin1')
    this.drop = edits.drop.size === 0 ? null : new DropMatcher(edits.drop)
  }
}

/**
 * Edits are part of the snapshot, or of an answer to one request; what was made of them lives here as long as they do.
 */
export class EditBytesCache {
  private readonly known = new WeakMap<HeadEdits, EditBytes>()

  of(edits: HeadEdits): EditBytes {
    const known = this.known.get(edits)
    if (known !== undefined) return known
    const made = new EditBytes(edits)
    this.known.set(edits, made)
    return made
  }
}
