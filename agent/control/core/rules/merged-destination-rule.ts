/**
 * All DestinationRules of one host as one, as Istio merges them: the traffic policy of the first that has one, and the
 * subsets of all, the first of each name.
 */
import type { RuleOrigin } from '../../../../contracts/route-spec.ts'
import type { DestinationRuleSpec, TrafficPolicyShape } from './destination-rule-shape.ts'
import type { ResourceOf } from './rule-resource.ts'

type DestinationRule = ResourceOf<'DestinationRule'>
type OriginAt = (path: string) => RuleOrigin

export interface MergedSubset {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly policy: TrafficPolicyShape | undefined
  /** Of paths below the subset's policy. */
  readonly origin: OriginAt
}

export interface MergedDestinationRule {
  readonly policy: TrafficPolicyShape | undefined
  /** Of paths below the policy. */
  readonly origin: OriginAt
  readonly subsets: readonly MergedSubset[]
}

/** In their order; at least one. */
export function mergeDestinationRules(rules: readonly DestinationRule[]): MergedDestinationRule {
  const decider = rules.find((rule) => rule.spec.trafficPolicy !== undefined) ?? rules[0]!
  const subsets = new Map<string, MergedSubset>()
  for (const rule of rules) {
    rule.spec.subsets?.forEach((subset, index) => {
      if (!subsets.has(subset.name)) subsets.set(subset.name, mergedSubset(rule, subset, index))
    })
  }
  return {
    policy: decider.spec.trafficPolicy,
    origin: originBelow(decider.origin, 'spec.trafficPolicy'),
    subsets: [...subsets.values()],
  }
}

function mergedSubset(
  rule: DestinationRule,
  { name, labels, trafficPolicy }: NonNullable<DestinationRuleSpec['subsets']>[number],
  index: number,
): MergedSubset {
  const origin = originBelow(rule.origin, `spec.subsets[${index}].trafficPolicy`)
  return { name, labels: labels ?? {}, policy: trafficPolicy, origin }
}

/** What becomes of a rule about a host that others are about already; not used at all if they have all it says. */
export function describeMerge(
  rule: DestinationRule,
  { resource, others }: { readonly resource: DestinationRule; readonly others: readonly DestinationRule[] },
): { message: string; isUsed: boolean } {
  const before = [resource, ...others.slice(0, Math.max(0, others.indexOf(rule)))]
  const taken = new Set(before.flatMap((one) => one.spec.subsets?.map((subset) => subset.name) ?? []))
  const decider = before.find((one) => one.spec.trafficPolicy !== undefined)
  const own = rule.spec.subsets?.map((subset) => subset.name) ?? []
  const used = own.filter((name) => !taken.has(name))
  const lost = own.filter((name) => taken.has(name))
  const isPolicyUsed = decider === undefined && rule.spec.trafficPolicy !== undefined
  const first = `DestinationRule ${resource.namespace}/${resource.name}`
  const isUsed = isPolicyUsed || used.length > 0
  if (!isUsed) return { message: `${rule.spec.host}: decided by ${first}, which comes first`, isUsed }
  const parts = [`${rule.spec.host}: merged with ${first}, which comes first`]
  if (rule.spec.trafficPolicy !== undefined && !isPolicyUsed) parts.push('the trafficPolicy of the first decides')
  if (used.length > 0) parts.push(`subsets from here: ${used.join(', ')}`)
  if (lost.length > 0) parts.push(`subsets that the first has already: ${lost.join(', ')}`)
  return { message: parts.join('; '), isUsed }
}

export function originBelow(origin: OriginAt, base: string): OriginAt {
  return (path) => origin(`${base}.${path}`)
}
