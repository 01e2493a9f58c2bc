/**
 * Walks every field of a zod schema with examples of its values: for each field documents that differ in this field
 * alone. What a schema accepts is found by trying, so a new field is walked by itself; one for which no accepted value
 * is known is reported, not passed over.
 */
import type * as z from 'zod'

interface Def {
  readonly type: string
  readonly innerType?: z.ZodType
  readonly in?: z.ZodType
  readonly element?: z.ZodType
  readonly keyType?: z.ZodType
  readonly valueType?: z.ZodType
  readonly shape?: Readonly<Record<string, z.ZodType>>
  readonly options?: readonly z.ZodType[]
  readonly entries?: Readonly<Record<string, string>>
  readonly values?: readonly unknown[]
}

export type Path = readonly (string | number)[]

/** A leaf, list or map of free names, with where it stands. */
export interface WalkedField {
  readonly path: Path
  readonly schema: z.ZodType
}

const defOf = (schema: z.ZodType): Def => schema.def as unknown as Def

/** Without optional, transform, default and the like. */
export function bareOf(schema: z.ZodType): z.ZodType {
  let at = schema
  for (;;) {
    const def = defOf(at)
    const inner = def.innerType ?? def.in
    if (inner === undefined || (def.type === 'pipe' && isAnything(inner))) return def.type === 'pipe' ? onward(at) : at
    at = inner
  }
}

/** `unknown | superRefine | pipe(record)`: the shape is on the way out. */
function onward(schema: z.ZodType): z.ZodType {
  const { out } = schema.def as unknown as { out?: z.ZodType }
  return out !== undefined && defOf(out).type !== 'transform' ? bareOf(out) : schema
}

function isAnything(schema: z.ZodType): boolean {
  return defOf(schema).type === 'unknown'
}

/** Every field below a schema; lists are walked through their first item, maps of free names through `name`. */
export function* fieldsOf(schema: z.ZodType, names: (path: Path) => string, path: Path = []): Generator<WalkedField> {
  const def = defOf(bareOf(schema))
  if (def.shape !== undefined) {
    for (const [key, inner] of Object.entries(def.shape)) {
      yield { path: [...path, key], schema: inner }
      yield* fieldsOf(inner, names, [...path, key])
    }
  } else if (def.element !== undefined) yield* fieldsOf(def.element, names, [...path, 0])
  else if (def.valueType !== undefined) yield* fieldsOf(def.valueType, names, [...path, names(path)])
}

/** Values that the schema of a leaf takes, of those in `pool`, and of its own words. */
export function acceptedValues(schema: z.ZodType, pool: readonly unknown[]): unknown[] {
  const def = defOf(bareOf(schema))
  const words = def.entries === undefined ? (def.values ?? []) : Object.values(def.entries)
  return [...words, ...pool].filter((value) => schema.safeParse(value).success)
}

export function isBranch(schema: z.ZodType): boolean {
  const def = defOf(bareOf(schema))
  return def.shape !== undefined || def.element !== undefined || def.valueType !== undefined
}

/** A copy with another value at the path, maps and lists on the way being made; `undefined` takes the value out. */
export function withValue(root: unknown, path: Path, value: unknown): unknown {
  const [first, ...rest] = path
  if (first === undefined) return value
  if (typeof first === 'number') {
    const list = Array.isArray(root) ? [...(root as unknown[])] : []
    list[first] = withValue(list[first], rest, value)
    return list
  }
  const map = typeof root === 'object' && root !== null && !Array.isArray(root) ? { ...(root as object) } : {}
  const inner = withValue((map as Record<string, unknown>)[first], rest, value)
  if (inner === undefined) return Object.fromEntries(Object.entries(map).filter(([key]) => key !== first))
  return { ...map, [first]: inner }
}

export function valueAt(root: unknown, path: Path): unknown {
  return path.reduce<unknown>((at, key) => (Object(at) as Record<string | number, unknown>)[key], root)
}
