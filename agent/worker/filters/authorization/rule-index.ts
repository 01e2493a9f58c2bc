/**
 * Which rules of many may match, without asking each: a rule stands under the values of one of its fields, the one that
 * it shares with the fewest others, and is looked at only for a subject with such a value. Rules without a field to
 * stand under are asked always. Tests are made when a rule is looked at for the first time.
 */
import type { AuthorizationRuleSpec } from '../../../../contracts/authorization-spec.ts'
import { pathTable } from '../../route/path-table.ts'
import type { PathEntry, PathTable } from '../../route/path-table.ts'
import type { Test } from './conditions.ts'
import { ruleTest } from './rule.ts'
import type { Subject } from './subject.ts'
import { prefixOf } from './text-set.ts'

interface Key {
  /** Exact values under which a rule may stand; undefined = it cannot stand here. */
  valuesOf(rule: AuthorizationRuleSpec): readonly string[] | undefined
  read(subject: Subject): string
}

type Values = readonly string[] | undefined

const keys: readonly Key[] = [
  {
    valuesOf: (rule) => exactValues(rule.from?.map((one) => one.principals)),
    read: (subject) => subject.principal,
  },
  {
    valuesOf: (rule) => exactValues(rule.from?.map((one) => one.serviceAccounts)),
    read: (subject) => subject.serviceAccount,
  },
  {
    valuesOf: (rule) => exactValues(rule.from?.map((one) => one.namespaces)),
    read: (subject) => subject.namespace,
  },
  {
    valuesOf: (rule) => exactValues(rule.from?.map((one) => one.requestPrincipals)),
    read: (subject) => subject.token?.principal ?? '',
  },
  {
    valuesOf: (rule) => flat(rule.to?.map((one) => one.ports))?.map((port) => String(Number(port))),
    read: (subject) => String(subject.destinationPort),
  },
]

export class RuleIndex {
  private readonly rules: readonly AuthorizationRuleSpec[]
  private readonly isWide: boolean
  private readonly tests: (Test | undefined)[]
  private readonly byKey: readonly { readonly read: Key['read']; readonly rows: ReadonlyMap<string, number[]> }[]
  private readonly always: readonly number[]
  private readonly byPath: PathTable | undefined
  private readonly candidates: Int32Array

  /** In their order; `isWide`: how conditions are read (`conditions.ts`). */
  constructor(rules: readonly AuthorizationRuleSpec[], isWide: boolean) {
    this.rules = rules
    this.isWide = isWide
    this.tests = Array.from({ length: rules.length })
    const { always, paths, rows } = placed(rules, isWide)
    this.always = always
    this.byKey = keys.flatMap(({ read }, at) => (rows[at]!.size === 0 ? [] : { read, rows: rows[at]! }))
    this.byPath = paths.length === 0 ? undefined : pathTable(paths)
    this.candidates = new Int32Array(paths.length)
  }

  /** Place of the first rule that matches; -1 = none. */
  find(subject: Subject): number {
    let best = this.firstOf(this.always, subject, this.rules.length)
    for (const { read, rows } of this.byKey) {
      const row = rows.get(read(subject))
      if (row !== undefined) best = this.firstOf(row, subject, best)
    }
    if (this.byPath !== undefined && subject.request !== null) best = this.firstByPath(this.byPath, subject, best)
    return best === this.rules.length ? -1 : best
  }

  private firstByPath(table: PathTable, subject: Subject, before: number): number {
    const readings = this.isWide ? subject.lowerPaths : subject.paths
    // what a narrow rule needs of every reading it needs of the first one; without a reading a wide rule holds for all
    if (readings === null) return this.isWide ? this.firstOf(this.rules.keys(), subject, before) : before
    let best = before
    for (const reading of this.isWide ? readings : readings.slice(0, 1)) {
      const count = table.candidates(reading, this.candidates)
      for (let i = 0; i < count; i++) {
        const number = this.candidates[i]!
        if (number < best && this.matches(number, subject)) best = number
      }
    }
    return best
  }

  /** `numbers` ascend. */
  private firstOf(numbers: Iterable<number>, subject: Subject, before: number): number {
    for (const number of numbers) {
      if (number >= before) return before
      if (this.matches(number, subject)) return number
    }
    return before
  }

  private matches(number: number, subject: Subject): boolean {
    const test = (this.tests[number] ??= ruleTest(this.rules[number]!, this.isWide))
    return test(subject)
  }
}

function placed(rules: readonly AuthorizationRuleSpec[], isWide: boolean) {
  const always: number[] = []
  const paths: PathEntry[] = []
  const rows = keys.map(() => new Map<string, number[]>())
  const options = rules.map((rule) => [...keys.map(({ valuesOf }) => valuesOf(rule)), pathValues(rule)])
  const crowds = [...keys, undefined].map((_, at) => crowdOf(options.map((one) => one[at])))
  for (const [number, values] of options.entries()) {
    const at = leastCrowded(values, crowds)
    if (at < 0) always.push(number)
    else if (at < keys.length) for (const value of new Set(values[at])) add(rows[at]!, value, number)
    else for (const value of new Set(values[at])) paths.push(pathEntry(value, number, isWide))
  }
  return { always, paths, rows }
}

/** How many rules name each value. */
function crowdOf(options: readonly Values[]): ReadonlyMap<string, number> {
  const crowd = new Map<string, number>()
  for (const values of options) for (const value of values ?? []) crowd.set(value, (crowd.get(value) ?? 0) + 1)
  return crowd
}

function leastCrowded(values: readonly Values[], crowds: readonly ReadonlyMap<string, number>[]): number {
  let best = -1
  let least = Infinity
  for (const [at, some] of values.entries()) {
    if (some === undefined) continue
    const size = some.reduce((most, value) => Math.max(most, crowds[at]!.get(value)!), 0)
    if (size < least) {
      least = size
      best = at
    }
  }
  return best
}

function add(rows: Map<string, number[]>, value: string, number: number): void {
  const row = rows.get(value)
  if (row === undefined) rows.set(value, [number])
  else row.push(number)
}

/** Of every alternative, none of which may leave the field open; undefined where one does. */
function flat(alternatives: readonly Values[] | undefined): readonly string[] | undefined {
  if (alternatives === undefined || alternatives.some((values) => values === undefined)) return undefined
  return alternatives.flatMap((values) => values!)
}

function exactValues(alternatives: readonly Values[] | undefined): readonly string[] | undefined {
  const values = flat(alternatives)
  return values?.some((value) => value.startsWith('*') || value.endsWith('*')) === true ? undefined : values
}

/** Values that begin with more than a slash. */
function pathValues(rule: AuthorizationRuleSpec): readonly string[] | undefined {
  const values = flat(rule.to?.map((one) => one.paths))
  return values?.some((value) => (prefixOf(value) ?? value).length < 2) === true ? undefined : values
}

function pathEntry(value: string, number: number, isWide: boolean): PathEntry {
  const folded = isWide ? value.toLowerCase() : value
  const prefix = prefixOf(folded)
  return prefix === undefined ? { kind: 'exact', path: folded, number } : { kind: 'prefix', path: prefix, number }
}
