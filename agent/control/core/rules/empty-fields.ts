/**
 * Fields that stand there without a value (`match:`), as templates and editors leave them. A cluster takes them for not
 * there, and so are they here, with a note. Not in kinds of our own, where an empty section is a mistake, nor where
 * policies say who may call whom, nor in maps with keys of the user's: a condition must not become no condition.
 */
import type { RuleKind } from './kinds.ts'

const kinds: ReadonlySet<RuleKind> = new Set<RuleKind>([
  'VirtualService',
  'DestinationRule',
  'ServiceEntry',
  'WorkloadEntry',
  'Gateway',
  'HTTPRoute',
  'GRPCRoute',
  'TCPRoute',
])

const usersMaps = new Set([
  'headers',
  'withoutHeaders',
  'queryParams',
  'sourceLabels',
  'labels',
  'selector',
  'set',
  'add',
  'ports',
])

export interface FilledSpec {
  readonly spec: unknown
  /** Paths below the spec of what was left out. */
  readonly empty: readonly (readonly PropertyKey[])[]
}

export function withoutEmptyFields(kind: RuleKind, spec: unknown): FilledSpec {
  const empty: (readonly PropertyKey[])[] = []
  return { spec: kinds.has(kind) ? filled(spec, [], empty) : spec, empty }
}

function filled(value: unknown, path: readonly PropertyKey[], empty: (readonly PropertyKey[])[]): unknown {
  if (typeof value !== 'object' || value === null) return value
  const before = empty.length
  if (Array.isArray(value)) {
    const items = value.map((item, index) => filled(item, [...path, index], empty))
    return empty.length === before ? value : items
  }
  const keepsAll = usersMaps.has(String(path.at(-1)))
  const entries: [string, unknown][] = []
  for (const [key, item] of Object.entries(value)) {
    if (item === null && !keepsAll) empty.push([...path, key])
    else entries.push([key, filled(item, [...path, key], empty)])
  }
  return empty.length === before ? value : Object.fromEntries(entries)
}
