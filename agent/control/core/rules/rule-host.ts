/**
 * Host names in rules, as service keys.
 *
 * | written | means |
 * |---|---|
 * | `orders` | service `orders` of the default group, in the rule's namespace |
 * | `orders.PAYMENTS` | of group `PAYMENTS`, if that is a known group (`HostScope.groups`); else a service with a dot in its name |
 * | `PAYMENTS@@orders` | the same, in Nacos's words |
 * | `prod/PAYMENTS@@orders` | in namespace `prod`, whatever the rule's own |
 * | `*.example.com` | every host below `example.com` that has no rule of its own |
 *
 * The rule's namespace is `metadata.namespace`, else the default one.
 */
import { parseServiceName, serviceKey } from '../../../../contracts/endpoint.ts'
import type { ServiceKey } from '../../../../contracts/endpoint.ts'

export interface HostScope {
  readonly namespace: string
  readonly group: string
  /** Groups that may stand behind a dot, beside the default one. */
  readonly groups: readonly string[]
}

export interface RuleHost {
  readonly key: ServiceKey
  /** As written. */
  readonly text: string
  /** For `*.suffix`: the suffix with its dot, lower case. */
  readonly suffix: string | undefined
}

/** undefined for a text that is no host name. */
export function parseRuleHost(text: string, ruleNamespace: string, scope: HostScope): RuleHost | undefined {
  if (text.startsWith('*.')) {
    const suffix = text.slice(1).toLowerCase()
    if (!/^(?:\.[a-z0-9_-]+)+$/.test(suffix) || suffix.length > 255) return undefined
    return { key: serviceKey({ namespace: ruleNamespace, group: scope.group, name: `*${suffix}` }), text, suffix }
  }
  const key = parseHostName(text, ruleNamespace, scope)
  return key === undefined ? undefined : { key, text, suffix: undefined }
}

/** A name that leads to one service. */
export function parseHostName(text: string, namespace: string, scope: HostScope): ServiceKey | undefined {
  const plain = text.endsWith('.') && !text.includes('@@') ? text.slice(0, -1) : text
  const dotted = plain.includes('@@') || plain.includes('/') ? undefined : groupBehindDot(plain, scope)
  const name = dotted === undefined ? plain : `${dotted.group}@@${dotted.name}`
  const parsed = parseServiceName(name, { namespace, group: scope.group })
  return parsed === undefined ? undefined : serviceKey(parsed)
}

/** Groups have a case, Host headers have none: compared without it, the known spelling counts. */
function groupBehindDot(text: string, scope: HostScope): { name: string; group: string } | undefined {
  const dot = text.lastIndexOf('.')
  if (dot <= 0) return undefined
  const last = text.slice(dot + 1).toLowerCase()
  const group = [scope.group, ...scope.groups].find((known) => known.toLowerCase() === last)
  return group === undefined ? undefined : { name: text.slice(0, dot), group }
}

/** Name part of a key. */
export function nameOfKey(key: ServiceKey): string {
  return key.slice(key.indexOf('@@') + 2)
}

export function namespaceOfKey(key: ServiceKey): string {
  return key.slice(0, key.indexOf('/'))
}
