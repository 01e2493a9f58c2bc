/** Secrets do not leave the process: values under names that smell of one are masked, whatever they are. */
const secretName =
  /password|passwd|secret|token|credential|authorization|cookie|private[-_]?key|api[-_]?key|access[-_]?key/i

/** A copy with masked values. Names of files are no secrets: they are shown. */
export function mask(value: unknown, name = ''): unknown {
  if (Array.isArray(value)) return value.map((one) => mask(one, name))
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, mask(one, key)]))
  if (value === undefined || value === null || typeof value === 'boolean') return value
  return secretName.test(name) && !name.endsWith('File') ? '[masked]' : value
}
