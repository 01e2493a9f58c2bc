/**
 * Runs a shape over the spec of a resource and turns every issue into a problem with path, position and what is
 * allowed.
 */
import type * as z from 'zod'
import { nearest } from '../../config/nearest.ts'
import { describeFound, formatPath } from '../../config/problem.ts'
import type { RuleProblem } from '../../../../contracts/rule-status.ts'
import type { YamlResource } from './yaml-documents.ts'

/** `base` is the path of the value inside the resource. */
export function checkShape<S extends z.ZodType>(
  shape: S,
  value: unknown,
  base: readonly PropertyKey[],
  resource: YamlResource,
): { value: z.output<S> } | { problems: RuleProblem[] } {
  const result = shape.safeParse(value)
  if (result.success) return { value: result.data }
  const problems = firstProblems(result.error.issues, (issue) => problemsOf(issue, value, base, resource, shape))
  return { problems: problems.toSorted((a, b) => a.line - b.line || a.column - b.column) }
}

/** More than these help nobody, and each costs a search for its place. */
const maxProblems = 50

function firstProblems<T>(issues: readonly T[], read: (issue: T) => RuleProblem[]): RuleProblem[] {
  const problems: RuleProblem[] = []
  for (const issue of issues) {
    if (problems.length >= maxProblems) break
    problems.push(...read(issue))
  }
  return problems.slice(0, maxProblems)
}

export function problemAt(resource: YamlResource, path: readonly PropertyKey[], message: string): RuleProblem {
  return { path: formatPath(path), ...resource.positionOf(path), message }
}

function problemsOf(
  issue: z.core.$ZodIssue,
  root: unknown,
  base: readonly PropertyKey[],
  resource: YamlResource,
  shape: z.ZodType,
): RuleProblem[] {
  const path = [...base, ...issue.path]
  const found = describeFound(valueAt(root, issue.path), path)
  const against = (allowed: string, hint?: string): RuleProblem[] => [
    problemAt(resource, path, `found ${found}, allowed ${allowed}${hint === undefined ? '' : ` (nearest: ${hint})`}`),
  ]
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = keysAt(shape, issue.path)
      return issue.keys.slice(0, maxProblems).map((key) => {
        const hint = nearest(key, known)
        const message = `unknown field${hint === undefined ? '' : ` (nearest: ${hint})`}`
        return problemAt(resource, [...path, key], message)
      })
    }
    case 'invalid_value': {
      const words = issue.values.map(String)
      return against(words.join(', '), nearest(found.replaceAll('"', ''), words))
    }
    case 'invalid_type':
      return against(
        { array: 'a list', object: 'a map', record: 'a map', string: 'text' }[issue.expected as string] ??
          issue.expected,
      )
    case 'invalid_key':
      return issue.issues.map((inner) => problemAt(resource, path, textOf(inner, describeFound(issue.path.at(-1)))))
    case 'too_big':
      return [problemAt(resource, path, `too many entries, allowed at most ${issue.maximum}`)]
    case 'too_small':
      return [problemAt(resource, path, `an empty list, allowed at least ${issue.minimum} entry`)]
    default:
      return [problemAt(resource, path, textOf(issue, found))]
  }
}

function textOf(issue: z.core.$ZodIssue, found: string): string {
  const allowed = (issue as { params?: { allowed?: string } }).params?.allowed
  return allowed === undefined ? issue.message : `found ${found}, allowed ${allowed}`
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value
  for (const part of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, part)) return undefined
    at = (at as Record<PropertyKey, unknown>)[part]
  }
  return at
}

interface Def {
  readonly innerType?: z.ZodType
  readonly in?: z.ZodType
  readonly element?: z.ZodType
  readonly valueType?: z.ZodType
  readonly shape?: Readonly<Record<string, z.ZodType>>
}

/** Names of the fields that a map at this path may hold. */
function keysAt(shape: z.ZodType, path: readonly PropertyKey[]): string[] {
  let at: z.ZodType | undefined = shape
  for (const part of path) {
    const def: Def = defOf(at)
    at = def.element ?? def.valueType ?? def.shape?.[String(part)]
    if (at === undefined) return []
  }
  return Object.keys(defOf(at).shape ?? {})
}

function defOf(shape: z.ZodType | undefined): Def {
  let def = shape?.def as unknown as Def
  while (def.innerType !== undefined || def.in !== undefined) def = (def.innerType ?? def.in)!.def as unknown as Def
  return def
}
