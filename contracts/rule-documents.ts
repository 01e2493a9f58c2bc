/**
 * Where rules lie in a registry's configuration store (Nacos config): one document for the mesh and one per service, so
 * that an agent listens only to what it uses. All are in the group `rulesGroup` of the registry, in the registry's
 * namespace.
 */
import { defaultGroup, type ServiceName } from './endpoint.ts'

/** Rules of the whole mesh: wildcard hosts, several hosts, policies without a host. */
export const meshRulesId = 'hostmesh.mesh'

/** How long a rule that a node was told is to stay. */
export const ttlAnnotation = 'hostmesh.io/ttl'

/**
 * Data id of a service's rules: `hostmesh.service.orders`, or `hostmesh.service-of.GROUP..orders` outside the default
 * group. Nacos allows letters, digits and `.:_-` in a data id; every other character is written as `:` and the two hex
 * digits of each byte, and so is `:`, so that two services never share a document.
 */
export function serviceRulesId({ group, name }: Pick<ServiceName, 'group' | 'name'>): string {
  if (group === defaultGroup) return `hostmesh.service.${escape(name)}`
  return `hostmesh.service-of.${escape(group).replaceAll('.', ':2e')}..${escape(name)}`
}

function escape(part: string): string {
  return part.replace(/[^A-Za-z0-9._-]/g, (character) =>
    [...Buffer.from(character)].map((byte) => `:${byte.toString(16).padStart(2, '0')}`).join(''),
  )
}
