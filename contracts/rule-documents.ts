/**
 * Where rules lie in a registry's configuration store: one document for the whole mesh and one per service, so that an agent listens only to what it uses.
 * All are in the group `rulesGroup` of the registry, in the registry's namespace.
 */
import type { ServiceName } from './endpoint.ts'

/** ServiceEntries, and rules for several hosts. */
export const meshRulesDataId = 'hostmesh-rules'

/**
 * `hostmesh-rules::DEFAULT_GROUP::orders`. Nacos allows letters, digits and `.:_-` in a data id; any other character, and `:` itself, is written as `:` and two
 * hex digits per byte of UTF-8, so that two services never share a document.
 */
export function serviceRulesDataId(service: Pick<ServiceName, 'group' | 'name'>): string {
  return `${meshRulesDataId}::${escape(service.group)}::${escape(service.name)}`
}

function escape(part: string): string {
  return part.replace(/[^A-Za-z0-9._-]/g, (character) =>
    [...Buffer.from(character)].map((byte) => `:${byte.toString(16).padStart(2, '0')}`).join(''),
  )
}
