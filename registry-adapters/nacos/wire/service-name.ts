/** How Nacos writes names: `group@@service` in HTTP parameters and service info, two fields in gRPC requests. */
import { defaultGroup, defaultNamespace } from '../../../contracts/endpoint.ts'

export const groupSeparator = '@@'

export function groupedName(group: string, name: string): string {
  return `${group}${groupSeparator}${name}`
}

/** `orders` → default group; `G@@orders` → `G`, `orders`. A second separator belongs to the name, as in Nacos. */
export function splitGroupedName(text: string, group: string = defaultGroup): { group: string; name: string } {
  const at = text.indexOf(groupSeparator)
  return at < 0
    ? { group, name: text }
    : { group: text.slice(0, at) || group, name: text.slice(at + groupSeparator.length) }
}

/** Tenant of configuration requests before 3.x: the public namespace is the empty text there. */
export function configTenant(namespace: string): string {
  return namespace === defaultNamespace ? '' : namespace
}
