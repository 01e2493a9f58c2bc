/** What the rule compiler has to know of the configuration to read hosts and namespaces as services. */
import type { RuleStoreOptions } from '../core/rules/rule-store.ts'
import { hostScope } from '../core/rules/rule-host.ts'
import { authorizersOf, rateLimitServicesOf } from './extension-providers.ts'
import { kindOf, ruleSourceName } from '../kinds/registries.ts'
import type { AgentConfig } from './types.ts'

export function ruleScope({
  filters,
  gateway,
  host,
  serviceDefaults,
  registries,
  rules,
}: AgentConfig): RuleStoreOptions {
  const namespaces = registries.flatMap((registry) => kindOf(registry).naming(registry)?.namespace ?? [])
  const scope = {
    ...serviceDefaults,
    namespaces: [...new Set(namespaces)],
    namespaceMap: rules.namespaces,
    otherNamespaces: rules.otherNamespaces,
    clusterDomain: rules.clusterDomain,
    rootNamespace: rules.rootNamespace,
    trustDomain: rules.trustDomain,
  }
  const userFilters = new Map(filters.map((filter) => [filter.name, filter]))
  const { extensionProviders } = rules
  return {
    ...scope,
    sourceOrder: registries.map(({ name, type }) => ruleSourceName(type, name)),
    userFilters,
    authorizers: authorizersOf(extensionProviders, hostScope(scope)),
    rateLimitServices: rateLimitServicesOf(extensionProviders, hostScope(scope), host.name),
    ...(gateway === undefined ? {} : { gateway: { ...gateway, address: host.address } }),
  }
}
