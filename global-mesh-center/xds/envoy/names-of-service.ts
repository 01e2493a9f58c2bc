/** The names by which callers reach a service: those that rules declare, and those that read as it. */
import { parseServiceName, type ServiceKey } from '../../../contracts/endpoint.ts'
import type { Rules } from '../../../agent/control/core/rules/types.ts'

/** Envoy's patterns: a whole name, or a `*` before its rest. */
const domainPattern = /^(?:\*|\*?[a-z0-9._-]+)$/
const maxDomainLength = 255

export function namesOfService(
  key: ServiceKey,
  declared: readonly string[],
  rules: Pick<Rules, 'resolveName'>,
  clusterDomain: string,
): readonly string[] {
  const { namespace, group, name } = parseServiceName(key)!
  const readings = [
    name,
    `${name}.${group}`,
    `${name}.${namespace}`,
    `${name}.${namespace}.svc`,
    `${name}.${namespace}.svc.${clusterDomain}`,
  ].filter((one) => rules.resolveName(one) === key)
  const all = [...declared, ...readings].map((one) => one.toLowerCase())
  return [...new Set(all)].filter((one) => one.length <= maxDomainLength && domainPattern.test(one))
}
