/**
 * Runs a schema over a YAML file and turns every issue into a problem with its line, what was found, what is allowed
 * and the nearest name.
 */
import type * as z from 'zod'
import { nearest } from './nearest.ts'
import { describeFound, formatPath, type ConfigProblem } from './problem.ts'
import { shapeOf, type SchemaShape } from './schema-shape.ts'
import type { YamlFile } from './yaml-file.ts'

export function validate<S extends z.ZodType>(
  schema: S,
  yaml: YamlFile,
): { value?: z.output<S>; problems: ConfigProblem[] } {
  // an empty file is an empty map: everything has a default
  const input = yaml.value ?? {}
  const result = schema.safeParse(input)
  if (result.success) return { value: result.data, problems: [] }
  const problems = result.error.issues.flatMap((issue) => problemsOf(issue, yaml, input, shapeOf(schema)))
  return { problems: problems.toSorted((a, b) => a.line - b.line || a.column - b.column) }
}

/**
 * The value without its bad map entries, so that the checks across fields can still report their problems in the same
 * run. Undefined when something required or an item of a list is bad. Never to be used as a configuration.
 */
export function lenientValue<S extends z.ZodType>(schema: S, yaml: YamlFile): z.output<S> | undefined {
  const input = structuredClone(yaml.value ?? {})
  const first = schema.safeParse(input)
  if (first.success) return first.data
  for (const issue of first.error.issues) {
    const isUnknownKey = issue.code === 'unrecognized_keys'
    const holder = valueAt(input, isUnknownKey ? issue.path : issue.path.slice(0, -1))
    if (typeof holder !== 'object' || holder === null || Array.isArray(holder)) return undefined
    for (const key of isUnknownKey ? issue.keys : issue.path.slice(-1)) Reflect.deleteProperty(holder, key)
  }
  const second = schema.safeParse(input)
  return second.success ? second.data : undefined
}

function problemsOf(issue: z.core.$ZodIssue, yaml: YamlFile, input: unknown, shape: SchemaShape): ConfigProblem[] {
  const found = valueAt(input, issue.path)
  const make = (message: string, closest?: string): ConfigProblem => {
    const { line, column } = yaml.positionOf(issue.path)
    return {
      severity: 'error',
      file: yaml.file,
      line,
      column,
      path: formatPath(issue.path),
      message,
      nearest: closest,
    }
  }
  const against = (allowed: string, closest?: string): ConfigProblem[] => [
    make(`found ${describeFound(found, issue.path)}, allowed ${allowed}`, closest),
  ]
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = keysAt(shape, input, issue.path)
      return issue.keys.slice(0, 100).map((key) => {
        const { line, column } = yaml.positionOf(issue.path, key)
        const path = formatPath([...issue.path, key])
        const message = `unknown key, allowed ${known.join(', ')}`
        return { severity: 'error', file: yaml.file, line, column, path, message, nearest: nearest(key, known) }
      })
    }
    case 'invalid_value': {
      const words = issue.values.map(String)
      return against(words.join(', '), typeof found === 'string' ? nearest(found, words) : undefined)
    }
    case 'invalid_union': {
      const words = (issue as { options?: readonly unknown[] }).options?.map(String) ?? []
      return against(words.join(', '), typeof found === 'string' ? nearest(found, words) : undefined)
    }
    case 'invalid_type':
      return against(issue.expected === 'array' ? 'a list' : issue.expected === 'object' ? 'a map' : issue.expected)
    case 'too_big':
      return [make(`too many entries, allowed at most ${String(issue.maximum)}`)]
    case 'too_small':
      return [make(`too few entries, allowed at least ${String(issue.minimum)}`)]
    case 'custom': {
      const { allowed, words } = (issue as { params?: { allowed?: string; words?: readonly string[] } }).params ?? {}
      const closest = typeof found === 'string' && words !== undefined ? nearest(found, words) : undefined
      return against(String(allowed ?? issue.message), closest)
    }
    default:
      return [make(issue.message)]
  }
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let at = value
  for (const part of path) {
    if (typeof at !== 'object' || at === null) return undefined
    at = Object.hasOwn(at, part) ? (at as Record<PropertyKey, unknown>)[part] : undefined
  }
  return at
}

/** Names that a map at this path may hold. */
function keysAt(shape: SchemaShape, input: unknown, path: readonly PropertyKey[]): string[] {
  let at: SchemaShape | undefined = shape
  let value = input
  const choose = (candidate: SchemaShape | undefined): SchemaShape | undefined => {
    if (candidate?.kind !== 'choice') return candidate
    const word = valueAt(value, [candidate.by])
    return candidate.options.find((option) => option.word === word)?.shape
  }
  for (const part of path) {
    at = choose(at)
    value = valueAt(value, [part])
    if (at?.kind === 'map') at = at.fields.find((field) => field.name === part)?.shape
    else if (at?.kind === 'list') at = at.item
    else return []
  }
  at = choose(at)
  return at?.kind === 'map' ? at.fields.map((field) => field.name) : []
}
