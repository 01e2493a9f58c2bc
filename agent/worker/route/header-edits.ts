/** Header edits of rules and filters. Control validated names and values (R32). */
import type { HeaderEditsSpec } from '../../../contracts/route-spec.ts'
import type { Fields, HeaderEdits } from './types.ts'
import { wireText } from './wire-text.ts'

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
  if (route === null || destination === null) return destination
  const kept = route.fields.filter(([name]) => !destination.drop.has(name.toLowerCase()))
  return { fields: [...kept, ...destination.fields], drop: new Set([...route.drop, ...destination.drop]) }
}

export function addedFields(fields: Fields): HeaderEdits {
  return { fields, drop: nothing }
}
