/**
 * What is worth telling about a good resource by itself: parts of it that say nothing here, and older fields that stand
 * for newer ones.
 */
import { withoutEmptyFields } from './empty-fields.ts'
import type { RuleKind, RuleSpec } from './kinds.ts'
import type { HostScope } from './rule-host.ts'
import { ttlAnnotation } from '../../../../contracts/rule-documents.ts'
import { problemAt } from './resource-shape.ts'
import type { RuleProblem } from '../../../../contracts/rule-status.ts'
import type { VirtualServiceSpec } from './virtual-service-shape.ts'
import type { YamlResource } from './yaml-documents.ts'

export function resourceNotes(
  rule: RuleSpec,
  yaml: YamlResource,
  { authorizers, rateLimitServices, userFilters }: Pick<HostScope, 'authorizers' | 'rateLimitServices' | 'userFilters'>,
): RuleProblem[] {
  if (rule.kind === 'AuthorizationPolicy') return providerNotes(rule.spec.provider?.name, authorizers, yaml)
  if (rule.kind === 'MeshPolicy')
    return [
      ...filterNotes(rule.spec.filters ?? [], userFilters, yaml),
      ...limitNotes(rule.spec.globalRateLimits ?? [], rateLimitServices, yaml),
    ]
  if (rule.kind === 'VirtualService') return gatewayNotes(rule.spec, yaml)
  if (rule.kind === 'DestinationRule') return policyNotes(rule.spec.trafficPolicy, ['spec', 'trafficPolicy'], yaml)
  return []
}

/** Of a resource that is to go by itself; what the API of rules keeps comes without the annotation. */
export function timeNotes(yaml: YamlResource): RuleProblem[] {
  const { metadata } = Object(yaml.value) as { metadata?: { annotations?: Readonly<Record<string, unknown>> | null } }
  if (metadata?.annotations?.[ttlAnnotation] === undefined) return []
  const message = 'has no effect here: it holds for rules that are told by `hostmesh rules apply` or the API of rules'
  return [problemAt(yaml, ['metadata', 'annotations', ttlAnnotation], message)]
}

/** More of them help nobody. */
const maxEmptyNotes = 20

export function emptyNotes(kind: RuleKind, spec: unknown, yaml: YamlResource): RuleProblem[] {
  const message = 'without a value, so it counts as not there'
  const { empty } = withoutEmptyFields(kind, spec)
  return empty.slice(0, maxEmptyNotes).map((path) => problemAt(yaml, ['spec', ...path], message))
}

function gatewayNotes(spec: VirtualServiceSpec, yaml: YamlResource): RuleProblem[] {
  const notes: RuleProblem[] = []
  const known = spec.gateways === undefined || spec.gateways.length === 0 ? ['mesh'] : spec.gateways
  for (const kind of ['http', 'tls', 'tcp'] as const) {
    spec[kind]?.forEach((route, index) => {
      route.match?.forEach(({ gateways = [] }, at) => {
        if (gateways.length === 0 || gateways.some((name) => known.includes(name))) return
        const message = `none of them is among spec.gateways (${known.join(', ')}), so the match says nothing`
        notes.push(problemAt(yaml, ['spec', kind, index, 'match', at, 'gateways'], message))
      })
    })
  }
  return notes
}

function providerNotes(
  name: string | undefined,
  authorizers: HostScope['authorizers'],
  yaml: YamlResource,
): RuleProblem[] {
  if (name === undefined || authorizers.has(name)) return []
  const known = authorizers.size === 0 ? 'none' : [...authorizers.keys()].join(', ')
  const message = `${name}: not among rules.extensionProviders of this host (known: ${known}); what the rules match is refused`
  return [problemAt(yaml, ['spec', 'provider', 'name'], message)]
}

function filterNotes(
  filters: readonly { readonly name: string }[],
  known: HostScope['userFilters'],
  yaml: YamlResource,
): RuleProblem[] {
  const names = known.size === 0 ? 'none' : [...known.keys()].join(', ')
  return filters.flatMap(({ name }, index) =>
    known.has(name)
      ? []
      : problemAt(
          yaml,
          ['spec', 'filters', index, 'name'],
          `${name}: not among the filters of this host (known: ${names}); what it is for is refused`,
        ),
  )
}

function limitNotes(
  limits: readonly { readonly provider: string }[],
  known: HostScope['rateLimitServices'],
  yaml: YamlResource,
): RuleProblem[] {
  const names = known.size === 0 ? 'none' : [...known.keys()].join(', ')
  return limits.flatMap(({ provider }, index) =>
    known.has(provider)
      ? []
      : problemAt(
          yaml,
          ['spec', 'globalRateLimits', index, 'provider'],
          `${provider}: no rate-limit service among rules.extensionProviders of this host (known: ${names}); nobody is asked, and requests pass`,
        ),
  )
}

type Policy = Extract<RuleSpec, { kind: 'DestinationRule' }>['spec']['trafficPolicy']

function policyNotes(policy: Policy, path: readonly PropertyKey[], yaml: YamlResource): RuleProblem[] {
  const notes: RuleProblem[] = []
  if (policy?.outlierDetection?.consecutiveErrors !== undefined) {
    const message = 'an older field: read as consecutiveGatewayErrors, with consecutive5xxErrors off'
    notes.push(problemAt(yaml, [...path, 'outlierDetection', 'consecutiveErrors'], message))
  }
  if (policy?.retryBudget !== undefined && policy.connectionPool?.http?.maxRetries !== undefined) {
    const message = 'retryBudget stands beside it and decides, as in Envoy'
    notes.push(problemAt(yaml, [...path, 'connectionPool', 'http', 'maxRetries'], message))
  }
  return notes
}
