/** Header edits of rules and filters. Control validated names and values (R32). */
import type { HeaderEditsSpec } from '../../../contracts/route-spec.ts'
import type { Fields, HeaderEdits } from './types.ts'

const nothing: ReadonlySet<string> = new Set()

/** null when there is nothing to do. `set` replaces what is there, `add` stands beside it, `remove` drops. */
export function compileHeaderEdits(spec: HeaderEditsSpec | undefined): HeaderEdits | null {
  if (spec === undefined || spec.set.length + spec.add.length + spec.remove.length === 0) return null
  return { fields: [...spec.set, ...spec.add], drop: new Set([...spec.remove, ...spec.set.map(([name]) => name)]) }
}

export function addedFields(fields: Fields): HeaderEdits {
  return { fields, drop: nothing }
}
