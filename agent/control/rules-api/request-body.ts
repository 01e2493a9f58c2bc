/** The object of a request, from JSON or YAML; what it may say of itself is checked against the path. */
import { readYamlResources } from '../core/rules/yaml-documents.ts'
import { ApiError } from './api-error.ts'
import type { Fields } from './apply.ts'
import { isMap } from './patch.ts'
import type { ResourcePath } from './request-path.ts'

export const bodyTypes = {
  json: 'application/json',
  yaml: 'application/yaml',
  merge: 'application/merge-patch+json',
  apply: 'application/apply-patch+yaml',
} as const

/** Maps and lists inside each other; rules have some ten. */
const maxDepth = 64

/** Throws ApiError: 400 broken, 415 of another type. */
export function readBody(text: string, contentType: string, allowed: readonly string[]): Record<string, unknown> {
  const type = contentType.split(';')[0]!.trim().toLowerCase() || bodyTypes.json
  if (!allowed.includes(type))
    throw new ApiError(415, `content-type: found "${type.slice(0, 80)}", allowed ${allowed.join(', ')}`)
  const value = type.endsWith('yaml') ? fromYaml(text) : fromJson(text)
  if (!isMap(value)) throw new ApiError(400, 'the body: found no map, allowed one object')
  if (isDeeper(value, maxDepth))
    throw new ApiError(400, `the body: more than ${maxDepth} maps and lists inside each other`)
  return value
}

function isDeeper(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return depth === 0 || Object.values(value).some((one) => isDeeper(one, depth - 1))
}

function fromJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new ApiError(400, `the body is broken JSON: ${(error as Error).message.slice(0, 200)}`)
  }
}

/** Bounded before it is parsed, aliases too. */
function fromYaml(text: string): unknown {
  const { resources, problems } = readYamlResources(text)
  const found = [...problems, ...resources.flatMap((one) => one.problems)]
  if (found.length > 0) throw new ApiError(400, `the body, line ${found[0]!.line}: ${found[0]!.message}`)
  if (resources.length !== 1) throw new ApiError(400, `the body: found ${resources.length} documents, allowed one`)
  return resources[0]!.value
}

export interface WrittenObject {
  readonly name: string | undefined
  readonly uid: string | undefined
  /** undefined = not said. */
  readonly revision: number | undefined
  readonly fields: Fields
}

const topKeys = ['apiVersion', 'kind', 'metadata', 'spec', 'status']

/** Throws ApiError: 400 where it contradicts the path, 422 for what cannot stand in such an object. */
export function readWritten(value: Record<string, unknown>, path: ResourcePath, namespace: string): WrittenObject {
  const { kind, version } = path
  const said = (field: string, found: unknown, allowed: string): void => {
    if (found === undefined || found === null || found === allowed) return
    throw new ApiError(400, `${field}: found ${JSON.stringify(found).slice(0, 200)}, the path says "${allowed}"`)
  }
  said('apiVersion', value['apiVersion'], `${kind.group}/${version}`)
  said('kind', value['kind'], kind.kind)
  const metadata = value['metadata'] ?? {}
  if (!isMap(metadata)) throw new ApiError(400, 'metadata: found no map, allowed a map')
  said('metadata.namespace', metadata['namespace'], namespace)
  if (path.name !== undefined) said('metadata.name', metadata['name'], path.name)
  const unknown = Object.keys(value).filter((key) => !topKeys.includes(key))
  if (unknown.length > 0)
    throw new ApiError(422, `${unknown[0]}: unknown field, allowed ${topKeys.join(', ')}`, {
      causes: unknown.map((field) => ({ field, message: 'unknown field' })),
    })
  return {
    name: path.name ?? textOf(metadata['name']),
    uid: textOf(metadata['uid']),
    revision: readRevision(metadata['resourceVersion']),
    fields: {
      ...present(metadata, 'labels'),
      ...present(metadata, 'annotations'),
      ...(value['spec'] === undefined ? {} : { spec: value['spec'] }),
    },
  }
}

/** undefined: nothing is said. Throws ApiError 400. */
export function readRevision(value: unknown): number | undefined {
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value === 'string' && /^\d{1,15}$/.test(value)) return Number(value)
  throw new ApiError(400, `resourceVersion: found ${JSON.stringify(value).slice(0, 80)}, allowed digits`)
}

function present(metadata: Record<string, unknown>, name: string): object {
  return metadata[name] === undefined || metadata[name] === null ? {} : { [name]: metadata[name] }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
