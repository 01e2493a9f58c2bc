/** What a path of the API names. */
import { nearest } from '../config/nearest.ts'
import { apiGroups, apiKinds, kindAt, type ApiKind } from './api-kinds.ts'

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

/** What to use instead of a path that names nothing: where the kind is that was meant, or what its group has. */
export function servedInstead(path: string): string {
  const [root, group = '', , ...rest] = path.split('/').slice(1)
  const plural = (rest[0] === 'namespaces' && rest.length >= 3 ? rest[2] : rest[0])?.toLowerCase() ?? ''
  if (root !== 'apis' || plural === '') return '/apis lists what is'
  const meant = apiKinds.filter((kind) => kind.plural === plural || namesOf(kind).includes(plural))
  if (meant.length > 0) return meant.map((kind) => `${kind.kind} is at ${placeOf(kind)}`).join('; ')
  if (!apiGroups.has(group)) return `found group ${group.slice(0, 100)}, allowed ${[...apiGroups.keys()].join(', ')}`
  const plurals = apiKinds.filter((kind) => kind.group === group).map((kind) => kind.plural)
  const closest = nearest(plural, plurals)
  return `found ${plural.slice(0, 100)}, allowed in ${group}: ${plurals.join(', ')}${closest === undefined ? '' : ` (nearest: ${closest})`}`
}

function namesOf({ shortNames, singular }: ApiKind): readonly string[] {
  return [singular, ...shortNames]
}

function placeOf({ group, plural, versions }: ApiKind): string {
  return `/apis/${group}/${versions[0]}/namespaces/NAMESPACE/${plural}`
}
