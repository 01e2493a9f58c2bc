/** What a path of the API names. */
import { kindAt, type ApiKind } from './api-kinds.ts'

export interface ResourcePath {
  readonly kind: ApiKind
  readonly version: string
  /** undefined = all of them. */
  readonly namespace: string | undefined
  /** undefined = the collection. */
  readonly name: string | undefined
  /** What of the object. */
  readonly below: 'history' | 'revert' | undefined
}

/** undefined: the path names nothing that is served. */
export function readPath(path: string): ResourcePath | undefined {
  const parts = path.split('/').slice(1)
  const [root, group, version] = parts
  if (root !== 'apis' || group === undefined || version === undefined) return undefined
  const isNamespaced = parts[3] === 'namespaces' && parts.length >= 6
  const [plural, name, below, ...more] = parts.slice(isNamespaced ? 5 : 3)
  const kind = plural === undefined ? undefined : kindAt(group, version, plural)
  if (kind === undefined || more.length > 0 || (below !== undefined && below !== 'history' && below !== 'revert'))
    return undefined
  if (name !== undefined && !isNamespaced) return undefined
  return {
    kind,
    version,
    namespace: isNamespaced ? parts[4] : undefined,
    name,
    below,
  }
}
