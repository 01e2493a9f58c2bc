/** Header edits of a rule as bytes, so that forwarding them is one copy. Control validated names and values (R32). */
import type { HeaderEditsSpec } from '../../../contracts/route-spec.ts'
import type { HeaderEdits } from './types.ts'

/** null when there is nothing to do. `set` replaces what is there, `add` stands beside it, `remove` drops. */
export function compileHeaderEdits(spec: HeaderEditsSpec | undefined): HeaderEdits | null {
  if (spec === undefined || spec.set.length + spec.add.length + spec.remove.length === 0) return null
  const lines = [...spec.set, ...spec.add].map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return { lines: Buffer.from(lines, 'latin1'), drop: new Set([...spec.remove, ...spec.set.map(([name]) => name)]) }
}
