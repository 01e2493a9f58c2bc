/** YAML text with any number of documents, as plain values that know their positions. */
import { LineCounter, isMap, isScalar, isSeq, parseAllDocuments } from 'yaml'
import type { Document, Node } from 'yaml'
import type { RuleProblem } from './types.ts'

/** Larger documents are refused unread; the bound of Nacos for one configuration is 100 KiB by default. */
export const maxRuleTextBytes = 1024 * 1024

/** Resources in one document text. */
export const maxResourcesPerText = 1000

export interface Position {
  readonly line: number
  readonly column: number
}

export interface YamlResource {
  /** undefined where `problems` say why. */
  readonly value: unknown
  readonly problems: readonly RuleProblem[]
  /** First line of the resource. */
  readonly line: number
  /** The text of the resource alone. */
  readonly text: string
  /** Position of the key (or list item) at the path; the nearest ancestor that is there. */
  positionOf(path: readonly PropertyKey[]): Position
}

/** Every non-empty document of the text, broken ones with their problems. Never throws. */
export function readYamlResources(text: string): { resources: YamlResource[]; problems: RuleProblem[] } {
  const bytes = Buffer.byteLength(text)
  if (bytes > maxRuleTextBytes) return refused(`${bytes} bytes, allowed ${maxRuleTextBytes}`)
  const counter = new LineCounter()
  let documents: Document.Parsed[]
  try {
    const parsed = parseAllDocuments(text, {
      lineCounter: counter,
      prettyErrors: false,
      logLevel: 'error',
      uniqueKeys: true,
      strict: true,
    })
    documents = Array.isArray(parsed) ? parsed.filter(isNotEmpty) : []
  } catch (error) {
    return refused(`broken YAML: ${reasonOf(error)}`)
  }
  if (documents.length > maxResourcesPerText) {
    return refused(`${documents.length} resources in one document, allowed ${maxResourcesPerText}`)
  }
  return { resources: documents.map((document) => resourceOf(document, counter, text)), problems: [] }
}

function refused(message: string): { resources: YamlResource[]; problems: RuleProblem[] } {
  return { resources: [], problems: [{ path: '', line: 1, column: 1, message }] }
}

function isNotEmpty(document: Document.Parsed): boolean {
  return document.errors.length > 0 || (document.contents !== null && !isEmptyScalar(document.contents))
}

function isEmptyScalar(node: unknown): boolean {
  return isScalar(node) && (node.value === null || node.value === '')
}

function resourceOf(document: Document.Parsed, counter: LineCounter, text: string): YamlResource {
  const start = offsetOf(document.contents) ?? document.range[0]
  const line = place(counter, start).line
  const resource = { line, text: text.slice(start, document.range[2]) }
  const positionOf = (path: readonly PropertyKey[]): Position => place(counter, offsetAt(document, path, start))
  if (document.errors.length > 0) {
    const problems = document.errors.slice(0, 20).map((error) => ({
      path: '',
      ...place(counter, error.pos[0]),
      message: `broken YAML: ${lowerFirst(error.message.split('\n')[0] ?? '')}`,
    }))
    return { ...resource, value: undefined, problems, positionOf }
  }
  try {
    // 100 aliases: an anchor bomb ends here with an error instead of filling the memory
    const value = document.toJS({ maxAliasCount: 100 }) as unknown
    const refusal = valueProblem(value, 0)
    if (refusal === undefined) return { ...resource, value, problems: [], positionOf }
    return {
      ...resource,
      value: undefined,
      problems: [{ path: '', ...place(counter, start), message: refusal }],
      positionOf,
    }
  } catch (error) {
    const problem = { path: '', ...place(counter, start), message: `broken YAML: ${reasonOf(error)}` }
    return { ...resource, value: undefined, problems: [problem], positionOf }
  }
}

/** Deeper nesting has no meaning in any resource, and recursion over it could end the process. */
const maxDepth = 64

/** A `__proto__` key would be dropped on the way by some libraries: said, not ignored. */
function valueProblem(value: unknown, depth: number): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  if (depth > maxDepth) return `nested deeper than ${maxDepth} levels`
  if (Object.hasOwn(value, '__proto__')) return '__proto__ is no field'
  for (const inner of Object.values(value)) {
    const problem = valueProblem(inner, depth + 1)
    if (problem !== undefined) return problem
  }
  return undefined
}

function offsetAt(document: Document.Parsed, path: readonly PropertyKey[], start: number): number {
  let node: unknown = document.contents
  let best = start
  for (const part of path) {
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part))
      if (pair === undefined) return best
      best = offsetOf(pair.key) ?? best
      node = pair.value
    } else if (isSeq(node)) {
      node = node.items[Number(part)]
      if (node === undefined) return best
      best = offsetOf(node) ?? best
    } else return best
  }
  return best
}

function offsetOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0]
}

function place(counter: LineCounter, offset: number): Position {
  const at = counter.linePos(offset)
  return { line: at.line, column: at.col }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1).replace(/\.$/, '')
}
