/** Header edits of rules and filters. Control validated names and values (R32). */
import type { HeaderEditsSpec } from '../../../contracts/route-spec.ts'
import { wireText } from '../../../contracts/wire-text.ts'
import type { Fields, HeaderEdits } from './types.ts'

const nothing: ReadonlySet<string> = new Set()

/** null when there is nothing to do. `set` replaces what is there, `add` stands beside it, `remove` drops. */
export function compileHeaderEdits(spec: HeaderEditsSpec | undefined): HeaderEdits | null {
  if (spec === undefined || spec.set.length + spec.add.length + spec.remove.length === 0) return null
  const fields = [...spec.set, ...spec.add].map(([name, value]) => [name, wireText(value)] as const)
  return { fields, drop: new Set([...spec.remove, ...spec.set.map(([name]) => name)]) }
}

/**
 * Those of a route with those of its destination behind them: what the destination sets or removes, the route does not
 * say.
 */
export function editsBehind(route: HeaderEdits | null, destination: HeaderEdits | null): HeaderEdits | null {
  return destination === null ? null : joinedEdits(route, destination)
}

/**
 * Both, one behind the other: what the second sets or removes, the first does not say. The second itself where there is
 * no first.
 */
export function joinedEdits(first: HeaderEdits | null, second: HeaderEdits): HeaderEdits {
  if (first === null) return second
  const kept = first.fields.filter(([name]) => !second.drop.has(name.toLowerCase()))
  return { fields: [...kept, ...second.fields], drop: new Set([...first.drop, ...second.drop]) }
}

export function addedFields(fields: Fields): HeaderEdits {
  return { fields, drop: nothing }
}
