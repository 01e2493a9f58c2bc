/**
 * Server-side apply: who applies says all that it wants, and decides about those fields from then on. A list is one
 * field, as in Istio's own definitions. What a manager no longer says goes away, unless somebody else says it, too.
 */
import { isDeepStrictEqual } from 'node:util'
import { isMap } from './patch.ts'

/** The fields that can be owned. */
export interface Fields {
  readonly labels?: unknown
  readonly annotations?: unknown
  readonly spec?: unknown
}

export type Owners = Readonly<Record<string, readonly string[]>>

export interface FieldConflict {
  readonly manager: string
  /** `spec.http`. */
  readonly path: string
}

export interface Applied {
  readonly fields: Fields
  readonly owners: Owners
  /** Empty, or nothing is to be changed. */
  readonly conflicts: readonly FieldConflict[]
}

export function apply(present: Fields, owners: Owners, manager: string, wanted: Fields, isForced: boolean): Applied {
  const fields = structuredClone(present) as Record<string, unknown>
  const wantedPaths = new Set(pathsOf(wanted))
  const others = Object.entries(owners).filter(([name]) => name !== manager)
  const conflicts: FieldConflict[] = []
  const lost = new Set<string>()
  for (const path of wantedPaths) {
    if (isDeepStrictEqual(valueAt(fields, path), valueAt(wanted, path))) continue
    for (const [name, paths] of others) {
      if (!paths.includes(path)) continue
      conflicts.push({ manager: name, path: (JSON.parse(path) as string[]).join('.') })
      lost.add(path)
    }
  }
  if (conflicts.length > 0 && !isForced) return { fields: present, owners, conflicts }
  const kept = new Set(others.flatMap(([, paths]) => paths))
  for (const path of owners[manager] ?? []) if (!wantedPaths.has(path) && !kept.has(path)) remove(fields, path)
  for (const path of wantedPaths) set(fields, path, valueAt(wanted, path))
  return { fields, owners: ownersWithout(others, lost, manager, [...wantedPaths]), conflicts: [] }
}

/** Who writes by any other verb decides about what it changed, and takes that from everybody. */
export function ownersAfterWrite(before: Fields, after: Fields, owners: Owners, manager: string): Owners {
  const now = pathsOf(after)
  const changed = now.filter((path) => !isDeepStrictEqual(valueAt(before, path), valueAt(after, path)))
  const present = new Set(now)
  const gone = Object.values(owners).flatMap((paths) => paths.filter((path) => !present.has(path)))
  const own = (owners[manager] ?? []).filter((path) => present.has(path) && !changed.includes(path))
  const others = Object.entries(owners).filter(([name]) => name !== manager)
  return ownersWithout(others, new Set([...changed, ...gone]), manager, [...own, ...changed])
}

function ownersWithout(
  others: readonly (readonly [string, readonly string[]])[],
  lost: ReadonlySet<string>,
  manager: string,
  own: readonly string[],
): Owners {
  const left = others.map(([name, paths]) => [name, paths.filter((path) => !lost.has(path))] as const)
  return Object.fromEntries([...left, [manager, own] as const].filter(([, paths]) => paths.length > 0))
}

/** Of everything that is no map, and of empty maps. */
function pathsOf(value: unknown, path: readonly string[] = []): string[] {
  if (!isMap(value)) return value === undefined ? [] : [JSON.stringify(path)]
  const keys = Object.keys(value)
  if (keys.length === 0) return path.length === 0 ? [] : [JSON.stringify(path)]
  return keys.flatMap((key) => pathsOf(value[key], [...path, key]))
}

function valueAt(root: unknown, path: string): unknown {
  let at = root
  for (const key of JSON.parse(path) as string[]) at = isMap(at) && Object.hasOwn(at, key) ? at[key] : undefined
  return at
}

function set(root: Record<string, unknown>, path: string, value: unknown): void {
  const keys = JSON.parse(path) as string[]
  let at = root
  for (const key of keys.slice(0, -1)) {
    if (!Object.hasOwn(at, key) || !isMap(at[key])) define(at, key, {})
    at = at[key] as Record<string, unknown>
  }
  define(at, keys.at(-1)!, structuredClone(value))
}

function define(at: Record<string, unknown>, key: string, value: unknown): void {
  Object.defineProperty(at, key, { value, enumerable: true, configurable: true, writable: true })
}

/** With the maps that become empty. */
function remove(root: Record<string, unknown>, path: string): void {
  const keys = JSON.parse(path) as string[]
  const maps: Record<string, unknown>[] = [root]
  for (const key of keys.slice(0, -1)) {
    const next = maps.at(-1)![key]
    if (!isMap(next)) return
    maps.push(next)
  }
  for (let depth = keys.length - 1; depth >= 0; depth--) {
    Reflect.deleteProperty(maps[depth]!, keys[depth]!)
    if (Object.keys(maps[depth]!).length > 0) return
  }
}
