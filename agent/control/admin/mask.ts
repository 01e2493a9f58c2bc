/**
 * Secrets do not leave the process. What stands under a name that smells of one is masked, however deep; and so are the
 * values of headers that rules set, add or match, of query parameters that they match, and of metadata, whatever their
 * names: people put keys there. Names stay, and what the mesh itself writes into metadata.
 */
const secretName =
  /password|passwd|secret|token|credential|authorization|cookie|private[-_]?key|api[-_]?key|access[-_]?key/i
/** Members whose own members are names with values. */
const valued: ReadonlySet<string> = new Set([
  'headers',
  'withoutHeaders',
  'queryParams',
  'metadata',
  // of external authorizers
  'moreFields',
  'includeAdditionalHeadersInCheck',
  // of rate-limit services
  'initialMetadata',
  // of filters of users
  'settings',
])
/** Lists of `[name, value]`. */
const edits: ReadonlySet<string> = new Set(['set', 'add'])
/** A condition of an AuthorizationPolicy, `{ key: request.headers[x-key], values }`. */
const headerCondition = /^request\.headers\[/
const conditionValues: ReadonlySet<string> = new Set(['values', 'notValues'])
const ownMetadata = /^(?:hostmesh\.|version$|zone$|region$)/
const masked = '[masked]'

/** A copy with masked values. Names of files are no secrets: they are shown. */
export function mask(value: unknown): unknown {
  return maskIn(value, '', false)
}

function maskIn(value: unknown, name: string, isHidden: boolean): unknown {
  if (Array.isArray(value)) {
    const isEdits = edits.has(name) && value.every(isPair)
    return value.map((one: unknown) => (isEdits ? [(one as [string, string])[0], masked] : maskIn(one, '', isHidden)))
  }
  if (typeof value === 'object' && value !== null) {
    const hides = valued.has(name)
    const { key: condition } = value as { key?: unknown }
    const isCondition = typeof condition === 'string' && headerCondition.test(condition)
    return Object.fromEntries(
      Object.entries(value).map(([key, one]) => {
        const isShown = key.endsWith('File') || (name === 'metadata' && ownMetadata.test(key))
        const isSecret = hides || secretName.test(key) || (isCondition && conditionValues.has(key))
        return [key, maskIn(one, key, !isShown && (isHidden || isSecret))]
      }),
    )
  }
  if (value === undefined || value === null || typeof value === 'boolean') return value
  return isHidden ? masked : value
}

function isPair(value: unknown): value is [string, string] {
  return Array.isArray(value) && value.length === 2 && value.every((one) => typeof one === 'string')
}
