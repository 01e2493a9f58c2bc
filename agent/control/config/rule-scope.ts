/** What the rule compiler has to know of the configuration to read hosts and namespaces as services. */
import type { RuleStoreOptions } from '../core/rules/rule-store.ts'
import { kindOf } from '../kinds/registries.ts'
import type { AgentConfig } from './types.ts'

export function ruleScope({ serviceDefaults, registries, rules }: AgentConfig): RuleStoreOptions {
  const namespaces = registries.flatMap((registry) => kindOf(registry).naming(registry)?.namespace ?? [])
  return {
    ...serviceDefaults,
    namespaces: [...new Set(namespaces)],
    namespaceMap: rules.namespaces,
    otherNamespaces: rules.otherNamespaces,
    clusterDomain: rules.clusterDomain,
  }
}
