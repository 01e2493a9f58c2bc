/**
 * What plain data must look like. It comes from a process of this host that may be of another release, so it is looked
 * at before anything is made of it.
 */
export type Shape =
  | 'number'
  | 'string'
  | 'boolean'
  | 'any'
  /** null, or what stands behind it. */
  | readonly ['maybe', Shape]
  /** Not there, in the data of an older release, or what stands behind it. */
  | readonly ['newer', Shape]
  | readonly ['list', Shape]
  /** A list of exactly these. */
  | readonly ['row', ...Shape[]]
  | { readonly [name: string]: Shape }

/**
 * The path of the first thing that is not as `shape` says, `$.a.0.b`; null = all of it is. Names beyond it may be
 * there.
 */
export function misfit(value: unknown, shape: Shape, path: string = '$'): string | null {
  if (shape === 'any') return null
  if (shape === 'number') return Number.isFinite(value) ? null : path
  if (typeof shape === 'string') return typeof value === shape ? null : path
  if (!isList(shape)) return misfitOfRecord(value, shape, path)
  const [kind, ...parts] = shape as readonly [string, ...Shape[]]
  if (kind === 'maybe') return value === null ? null : misfit(value, parts[0]!, path)
  if (kind === 'newer') return value === undefined ? null : misfit(value, parts[0]!, path)
  if (!Array.isArray(value) || (kind === 'row' && value.length !== parts.length)) return path
  for (const [index, one] of value.entries()) {
    const found = misfit(one, kind === 'row' ? parts[index]! : parts[0]!, `${path}.${index}`)
    if (found !== null) return found
  }
  return null
}

function isList(shape: Shape): shape is Extract<Shape, readonly unknown[]> {
  return Array.isArray(shape)
}

function misfitOfRecord(value: unknown, shape: Readonly<Record<string, Shape>>, path: string): string | null {
  if (typeof value !== 'object' || value === null) return path
  for (const [name, part] of Object.entries(shape)) {
    const found = misfit((value as Record<string, unknown>)[name], part, `${path}.${name}`)
    if (found !== null) return found
  }
  return null
}
