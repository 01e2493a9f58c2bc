/** What annotations of a policy of security.istio.io say. */
import type { RuleProblem } from '../../../../contracts/rule-status.ts'
import { problemAt } from './resource-shape.ts'
import type { YamlResource } from './yaml-documents.ts'

const dryRunAnnotation = 'istio.io/dry-run'
/** `Inbound` (as in Istio, before the application) or `Outbound` (where a local application calls). */
const sideAnnotation = 'hostmesh.io/side'

export interface PolicyAnnotations {
  readonly isDryRun: boolean
  readonly side: 'Inbound' | 'Outbound'
}

/** Those that a rule is compiled by; others are of whoever wrote it. undefined = none. */
export function rulingAnnotations(
  given: Readonly<Record<string, string>> | undefined,
): Readonly<Record<string, string>> | undefined {
  const ruling = Object.entries(given ?? {}).filter(([name]) => name === dryRunAnnotation || name === sideAnnotation)
  return ruling.length === 0 ? undefined : Object.fromEntries(ruling)
}

export function policyAnnotations(yaml: YamlResource): PolicyAnnotations {
  const given = annotationsOf(yaml)
  return {
    isDryRun: given[dryRunAnnotation] === 'true',
    side: given[sideAnnotation] === 'Outbound' ? 'Outbound' : 'Inbound',
  }
}

/** A word that is not understood would make a policy something else than it says. */
export function annotationProblems(yaml: YamlResource, spec: unknown): RuleProblem[] {
  const given = annotationsOf(yaml)
  const problems: RuleProblem[] = []
  const check = (name: string, ...allowed: string[]): void => {
    const value = given[name]
    if (value === undefined || allowed.includes(value as string)) return
    const message = `found ${JSON.stringify(value)}, allowed ${allowed.map((one) => `"${one}"`).join(', ')}`
    problems.push(problemAt(yaml, ['metadata', 'annotations', name], message))
  }
  check(dryRunAnnotation, 'true', 'false')
  check(sideAnnotation, 'Inbound', 'Outbound')
  const isOutbound = given[sideAnnotation] === 'Outbound'
  const { rules, selector, targetRef, targetRefs } = record(spec)
  if (isOutbound && selector !== undefined) {
    const message = 'selects workloads by labels, which a caller does not know of whom it calls; allowed targetRefs'
    problems.push(problemAt(yaml, ['spec', 'selector'], message))
  }
  if (isOutbound) problems.push(...addressConditions(rules, yaml))
  const refs = [targetRef, ...(Array.isArray(targetRefs) ? (targetRefs as unknown[]) : [])]
  if (!isOutbound && refs.some((ref) => record(ref)['kind'] === 'ServiceEntry')) {
    const message = `no agent stands before a ServiceEntry; allowed with the annotation ${sideAnnotation}: Outbound`
    problems.push(problemAt(yaml, ['spec', targetRef === undefined ? 'targetRefs' : 'targetRef'], message))
  }
  return problems
}

function addressConditions(rules: unknown, yaml: YamlResource): RuleProblem[] {
  if (!Array.isArray(rules)) return []
  return rules.flatMap((rule: unknown, at) => {
    const { when } = record(rule)
    if (!Array.isArray(when)) return []
    return when.flatMap((condition: unknown, index) => {
      if (record(condition)['key'] !== 'destination.ip') return []
      const message = 'destination.ip is not known before an endpoint is chosen; allowed on the inbound side'
      return [problemAt(yaml, ['spec', 'rules', at, 'when', index, 'key'], message)]
    })
  })
}

function annotationsOf(yaml: YamlResource): Readonly<Record<string, unknown>> {
  return record(record(record(yaml.value)['metadata'])['annotations'])
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {}
}
