/** What is worth telling about a rule that is good by itself: names in it that lead nowhere. */
import type { ResourceOf, RuleResource } from './rule-resource.ts'
import type { RuleIndex } from './rule-index.ts'
import type { RuleProblem } from './types.ts'

export function ruleNotes(resource: RuleResource, index: RuleIndex): RuleProblem[] {
  if (resource.kind === 'MeshPolicy') return routeNotes(resource, index)
  return resource.subsetReferences.flatMap(({ path, line, column, service, subset }) => {
    const subsets = index.destinationRules.find(service)?.spec.subsets ?? []
    if (subsets.some((one) => one.name === subset)) return []
    const known =
      subsets.length === 0
        ? 'no DestinationRule has subsets for it'
        : `known: ${subsets.map((one) => one.name).join(', ')}`
    const message = `subset ${subset} of ${service} does not exist, ${known}; requests that are sent there get 503`
    return [{ path, line, column, message }]
  })
}

/** Routes that a limit or hedging names and that no host of the policy has. */
function routeNotes(policy: ResourceOf<'MeshPolicy'>, index: RuleIndex): RuleProblem[] {
  if (policy.hosts === undefined) return []
  const known = new Set(['default', 'inbound'])
  for (const host of policy.hosts) {
    for (const route of index.virtualServices.find(host.key)?.routes?.http ?? []) known.add(route.name)
  }
  const lists = [
    ...(policy.spec.rateLimits ?? []).map((limit, at) => ({
      path: `spec.rateLimits[${at}].routes`,
      names: limit.routes,
    })),
    ...(policy.spec.hedging ?? []).map((hedge, at) => ({ path: `spec.hedging[${at}].routes`, names: hedge.routes })),
  ]
  const position = policy.hostPositions[0] ?? { line: 1, column: 1 }
  return lists.flatMap(({ path, names }) =>
    (names ?? [])
      .filter((name) => !known.has(name))
      .map((name) => ({ path, ...position, message: `no route of its hosts is named ${JSON.stringify(name)}` })),
  )
}
