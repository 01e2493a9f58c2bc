/** What is worth telling about a rule that is good by itself: names in it that lead nowhere. */
import type { ServiceKey } from '../../../../contracts/endpoint.ts'
import { names } from './gateways/bound-services.ts'
import type { ResourceOf, RuleResource } from './rule-resource.ts'
import type { RuleIndex } from './rule-index.ts'
import type { RuleProblem } from '../../../../contracts/rule-status.ts'

export function ruleNotes(resource: RuleResource, index: RuleIndex): RuleProblem[] {
  if (resource.kind === 'MeshPolicy') return routeNotes(resource, index)
  if (resource.kind === 'WorkloadEntry') return workloadNotes(resource, index)
  if (resource.kind === 'HTTPRoute' || resource.kind === 'GRPCRoute' || resource.kind === 'TCPRoute') {
    return (resource.hosts ?? []).flatMap((host, at) => {
      const rule = index.virtualServices.find(host.key)
      const decides =
        rule === undefined ? undefined : index.routesOf(rule)[resource.kind === 'TCPRoute' ? 'tcp' : 'http']
      if (rule === undefined || decides === undefined) return []
      const message = `${host.text}: decided by VirtualService ${rule.namespace}/${rule.name}, which goes before routes of the Gateway API`
      return [{ path: `spec.parentRefs[${at}]`, ...(resource.hostPositions[at] ?? start), message }]
    })
  }
  const delegates =
    resource.kind === 'VirtualService' ? [...delegateNotes(resource, index), ...gatewayNotes(resource, index)] : []
  const subsets = resource.subsetReferences.flatMap(({ path, line, column, service, subset }) => {
    const subsets = index.destinationRule(service)?.subsets ?? []
    if (subsets.some((one) => one.name === subset)) return []
    const known =
      subsets.length === 0
        ? 'no DestinationRule has subsets for it'
        : `known: ${subsets.map((one) => one.name).join(', ')}`
    const message = `subset ${subset} of ${service} does not exist, ${known}; requests that are sent there get 503`
    return [{ path, line, column, message }]
  })
  const ports = resource.portReferences.flatMap(({ path, line, column, service, port }) => {
    const entry = index.serviceEntries.find(service)
    if (entry === undefined || entry.spec.ports.some(({ number }) => number === port)) return []
    const listed = entry.spec.ports.map(({ number }) => number).join(', ')
    const message = `port ${port} of ${service} is not listed by ServiceEntry ${entry.namespace}/${entry.name} (${listed}); what is sent there gets 503`
    return [{ path, line, column, message }]
  })
  return [...delegates, ...subsets, ...ports]
}

const start = { line: 1, column: 1 }

function gatewayNotes({ namespace, spec }: ResourceOf<'VirtualService'>, index: RuleIndex): RuleProblem[] {
  return (spec.gateways ?? []).flatMap((text, at) => {
    if (text === 'mesh' || index.gateways.some((gateway) => names([text], namespace, gateway))) return []
    const name = text.includes('/') ? text : `${namespace}/${text}`
    return [
      { path: `spec.gateways[${at}]`, ...start, message: `there is no Gateway ${name}; nothing leads here by it` },
    ]
  })
}

function delegateNotes(resource: ResourceOf<'VirtualService'>, index: RuleIndex): RuleProblem[] {
  if (resource.hosts === undefined) {
    if (index.isDelegatedTo(resource)) return []
    const message =
      'found nothing, allowed for a VirtualService that others delegate to; none does, so it has no effect'
    return [{ path: 'spec.hosts', ...start, message }]
  }
  return (resource.spec.http ?? []).flatMap((route, at) => {
    const { delegate } = route
    if (delegate === undefined || index.delegateOf(resource, delegate) !== undefined) return []
    const name = `${delegate.namespace ?? resource.namespace}/${delegate.name}`
    const message = `there is no VirtualService ${name} without hosts; requests that are left to it find no route`
    return [{ path: `spec.http[${at}].delegate`, ...(resource.hostPositions[0] ?? start), message }]
  })
}

function workloadNotes(resource: ResourceOf<'WorkloadEntry'>, index: RuleIndex): RuleProblem[] {
  const isSelected = [...index.serviceEntries.claims()].some(({ resource: entry }) => {
    const wanted = Object.entries(entry.spec.workloadSelector?.labels ?? {})
    const isThere = entry.namespace === resource.namespace && wanted.length > 0
    return isThere && wanted.every(([name, value]) => resource.spec.labels?.[name] === value)
  })
  if (isSelected) return []
  return [
    { path: 'spec.labels', ...start, message: 'no ServiceEntry of its namespace selects it, so it has no effect' },
  ]
}

/** Routes that a limit, hedging or retries name and that no host of the policy has. */
function routeNotes(policy: ResourceOf<'MeshPolicy'>, index: RuleIndex): RuleProblem[] {
  if (policy.hosts === undefined) return []
  const known = new Set(['default', 'inbound'])
  for (const host of policy.hosts) {
    for (const route of routesAt(index, host.key)) known.add(route.name)
  }
  const lists = [
    ...(policy.spec.globalRateLimits ?? []).map((limit, at) => ({
      path: `spec.globalRateLimits[${at}].routes`,
      names: limit.routes,
    })),
    ...(policy.spec.rateLimits ?? []).map((limit, at) => ({
      path: `spec.rateLimits[${at}].routes`,
      names: limit.routes,
    })),
    ...(policy.spec.hedging ?? []).map((hedge, at) => ({ path: `spec.hedging[${at}].routes`, names: hedge.routes })),
    ...(policy.spec.retries ?? []).map((retry, at) => ({ path: `spec.retries[${at}].routes`, names: retry.routes })),
  ]
  const position = policy.hostPositions[0] ?? { line: 1, column: 1 }
  const isLimited = policy.spec.globalRateLimits !== undefined
  const raw = isLimited ? policy.hosts.filter(({ key }) => hasTcpRoutes(index, key)) : []
  const rawNotes = raw.map(({ text }) => ({
    path: 'spec.globalRateLimits',
    ...position,
    message: `does not hold for the TCP routes of ${text}: a raw connection has no descriptors; rateLimits count it`,
  }))
  const named = lists.flatMap(({ path, names }) =>
    (names ?? [])
      .filter((name) => !known.has(name))
      .map((name) => ({ path, ...position, message: `no route of its hosts is named ${JSON.stringify(name)}` })),
  )
  return [...rawNotes, ...named]
}

function hasTcpRoutes(index: RuleIndex, key: ServiceKey): boolean {
  const rule = index.virtualServices.find(key)
  return rule !== undefined && (index.routesOf(rule).tcp ?? []).length > 0
}

function routesAt(index: RuleIndex, key: ServiceKey): readonly { readonly name: string }[] {
  const rule = index.virtualServices.find(key)
  if (rule === undefined) return []
  const { http = [], tcp = [] } = index.routesOf(rule)
  return [...http, ...tcp]
}
