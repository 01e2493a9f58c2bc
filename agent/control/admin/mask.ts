/**
 * Secrets do not leave the process: what stands under a name that smells of one is masked, however deep, and so is the second text of a `[name, value]` pair,
 * the shape of header edits.
 */
const secretName =
  /password|passwd|secret|token|credential|authorization|cookie|private[-_]?key|api[-_]?key|access[-_]?key/i
const masked = '[masked]'

/** A copy with masked values. Names of files are no secrets: they are shown. */
export function mask(value: unknown, name = ''): unknown {
  return maskUnder(value, isSecret(name))
}

function maskUnder(value: unknown, isBelowSecret: boolean): unknown {
  if (Array.isArray(value)) {
    if (!isBelowSecret && isPair(value)) return secretName.test(value[0]) ? [value[0], masked] : [...value]
    return value.map((one) => maskUnder(one, isBelowSecret))
  }
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => [
        key,
        maskUnder(one, isFileName(key) ? false : isBelowSecret || isSecret(key)),
      ]),
    )
  }
  if (value === undefined || value === null || typeof value === 'boolean') return value
  return isBelowSecret ? masked : value
}

function isSecret(name: string): boolean {
  return secretName.test(name) && !isFileName(name)
}

function isFileName(name: string): boolean {
  return name.endsWith('File')
}

function isPair(value: readonly unknown[]): value is [string, string] {
  return value.length === 2 && typeof value[0] === 'string' && typeof value[1] === 'string'
}
