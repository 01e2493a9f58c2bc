/**
 * The names of fields in a JSON document, as paths. A message with `@type` begins a path of its own, so that messages
 * are compared wherever they stand.
 */
export function keyPaths(value: unknown, root: string, found = new Set<string>()): Set<string> {
  if (Array.isArray(value)) {
    for (const one of value) keyPaths(one, `${root}[]`, found)
    return found
  }
  if (typeof value !== 'object' || value === null) return found
  const message = (value as { '@type'?: string })['@type']
  const at = message === undefined ? root : message.slice(message.lastIndexOf('/') + 1)
  if (message !== undefined) found.add(at)
  for (const [key, one] of Object.entries(value)) {
    if (key === '@type') continue
    const path = `${at}.${key}`
    found.add(path)
    // anything may stand in there
    if (!path.endsWith('node.metadata')) keyPaths(one, path, found)
  }
  return found
}
