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

/** Namespace id of naming requests: never empty. */
export function namingNamespace(namespace: string | undefined): string {
  return namespace === undefined || namespace === '' ? defaultNamespace : namespace
}

/** Tenant of configuration requests before 3.x: the public namespace is the empty text there. */
export function configTenant(namespace: string): string {
  return namespace === defaultNamespace ? '' : namespace
}

/** Metadata keys that tell servers how long to wait for heartbeats of one instance; values in ms, as text. */
export const preservedKeys = {
  heartBeatInterval: 'preserved.heart.beat.interval',
  heartBeatTimeout: 'preserved.heart.beat.timeout',
  deleteTimeout: 'preserved.ip.delete.timeout',
  registerSource: 'preserved.register.source',
} as const
