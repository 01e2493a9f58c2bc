/** One rule of a policy as a test. */
import type {
  AuthorizationRuleSpec,
  ConditionSpec,
  OperationMatchSpec,
  SourceMatchSpec,
} from '../../../../contracts/authorization-spec.ts'
import { conditionField, fieldTest, matchFields } from './conditions.ts'
import type { Test } from './conditions.ts'

type MatchSpec = SourceMatchSpec & OperationMatchSpec

export function ruleTest(rule: AuthorizationRuleSpec, isWide: boolean): Test {
  const tests = [
    ...anyOf(rule.from?.map((one) => matchTest(one, isWide))),
    ...anyOf(rule.to?.map((one) => matchTest(one, isWide))),
    ...(rule.when ?? []).map((one) => conditionTest(one, isWide)),
  ]
  return all(tests)
}

function matchTest(spec: MatchSpec, isWide: boolean): Test {
  const tests: Test[] = []
  for (const [name, field] of Object.entries(matchFields)) {
    const values = spec[name as keyof MatchSpec]
    const notValues = spec[field.not]
    if (values !== undefined || notValues !== undefined)
      tests.push(fieldTest(field, { ...given({ values, notValues }) }, isWide))
  }
  return all(tests)
}

function conditionTest(spec: ConditionSpec, isWide: boolean): Test {
  const field = conditionField(spec.key)
  // a condition that nobody here understands: what denies holds, what allows does not
  return field === undefined ? () => isWide : fieldTest(field, spec, isWide)
}

function given(lists: { values: readonly string[] | undefined; notValues: readonly string[] | undefined }) {
  return {
    ...(lists.values === undefined ? {} : { values: lists.values }),
    ...(lists.notValues === undefined ? {} : { notValues: lists.notValues }),
  }
}

function all(tests: readonly Test[]): Test {
  if (tests.length === 1) return tests[0]!
  return (subject) => {
    for (const test of tests) if (!test(subject)) return false
    return true
  }
}

function anyOf(tests: readonly Test[] | undefined): Test[] {
  if (tests === undefined) return []
  if (tests.length === 1) return [tests[0]!]
  return [(subject) => tests.some((test) => test(subject))]
}

/**
 * The rule for raw connections, which have no fields of HTTP. As in Istio: a rule that allows by one holds for no
 * connection (null); a rule that denies holds without it, and so for more of them.
 */
export function connectionRule(rule: AuthorizationRuleSpec, isWide: boolean): AuthorizationRuleSpec | null {
  const from = rule.from?.map(withoutHttp)
  const to = rule.to?.map(withoutHttp)
  const when = rule.when?.filter(({ key }) => conditionField(key)?.isHttp !== true)
  const isWhole =
    (from ?? []).every((one, at) => one === rule.from![at]) &&
    (to ?? []).every((one, at) => one === rule.to![at]) &&
    when?.length === rule.when?.length
  if (isWhole) return rule
  if (!isWide) return null
  return {
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(when === undefined ? {} : { when }),
  }
}

function withoutHttp<S extends MatchSpec>(spec: S): S {
  const http = new Set<string>()
  for (const [name, field] of Object.entries(matchFields)) if (field.isHttp) http.add(name).add(field.not)
  const kept = Object.entries(spec).filter(([name]) => !http.has(name))
  return kept.length === Object.keys(spec).length ? spec : (Object.fromEntries(kept) as S)
}
