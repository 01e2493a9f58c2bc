/** JSON merge patch (RFC 7386) on plain data. */

export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isMap(patch)) return patch
  const merged: Record<string, unknown> = isMap(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete merged[key]
    else Object.defineProperty(merged, key, { value: mergePatch(merged[key], value), ...plain })
  }
  return merged
}

/** `__proto__` is a key like any other. */
const plain = { enumerable: true, configurable: true, writable: true } as const

export function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
