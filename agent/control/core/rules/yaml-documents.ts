/** YAML text with any number of documents, as plain values that know their positions. */
import { Composer, LineCounter, Parser, isMap, isScalar, isSeq } from 'yaml'
import type { Document, Node } from 'yaml'
import { yamlExcess, yamlFault } from '../../../../contracts/yaml-bounds.ts'
import type { RuleProblem } from '../../../../contracts/rule-status.ts'
import { placesBelow, type Place, type Position } from './yaml-places.ts'

/** Larger documents are refused unread; the bound of Nacos for one configuration is 100 KiB by default. */
export const maxRuleTextBytes = 1024 * 1024

/** Resources in one document text. */
export const maxResourcesPerText = 1000

/** Plain data. */
export type CheckedShape = { readonly value: unknown } | { readonly problems: RuleProblem[] }

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
  /** What the shape of its kind says of `spec`, where that was asked beside the loop. */
  readonly checked?: CheckedShape | undefined
  /** All positions, for whoever reads elsewhere than where they are asked for. */
  places(): Place
}

/** A parser needs about 6 µs for a node, hence half a second for a document of this size, in a thread of its own. */
const yamlBounds = { documentNodes: 20_000, nodes: 200_000 }

/** Every non-empty document of the text, broken ones with their problems. Never throws. */
export function readYamlResources(text: string): { resources: YamlResource[]; problems: RuleProblem[] } {
  const problem = yamlTextProblem(text)
  if (problem !== undefined) return { resources: [], problems: [problem] }
  const resources: YamlResource[] = []
  for (const read of eachYamlResource(text)) {
    if ('problem' in read) return { resources: [], problems: [read.problem] }
    resources.push(read)
  }
  return { resources, problems: [] }
}

/** Why the text is refused unparsed. */
export function yamlTextProblem(text: string): RuleProblem | undefined {
  const bytes = Buffer.byteLength(text)
  if (bytes > maxRuleTextBytes) return wholeText(`${bytes} bytes, allowed ${maxRuleTextBytes}`)
  const excess = yamlExcess(text, yamlBounds)
  return excess === undefined ? undefined : { path: '', line: excess.line, column: 1, message: excess.message }
}

/**
 * Resource by resource, so that whoever reads a long text can stop in between. A problem of the whole text ends it.
 * Never throws.
 */
export function* eachYamlResource(text: string): Generator<YamlResource | { readonly problem: RuleProblem }> {
  const counter = new LineCounter()
  const composer = new Composer({ logLevel: 'error', uniqueKeys: false, strict: true })
  let count = 0
  try {
    for (const document of composer.compose(new Parser(counter.addNewLine).parse(text))) {
      if (!isNotEmpty(document)) continue
      if (++count > maxResourcesPerText) {
        yield {
          problem: wholeText(
            `more than ${maxResourcesPerText} resources in one document, allowed ${maxResourcesPerText}`,
          ),
        }
        return
      }
      yield resourceOf(document, counter, text)
    }
  } catch (error) {
    yield { problem: wholeText(`broken YAML: ${reasonOf(error)}`) }
  }
}

function wholeText(message: string): RuleProblem {
  return { path: '', line: 1, column: 1, message }
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
  const whole = (): Place => {
    const { line: first, column } = place(counter, start)
    return [first, column]
  }
  const places = (): Place =>
    placesBelow(document.contents, place(counter, start), offsetOf, (offset) => place(counter, offset))
  if (document.errors.length > 0) {
    const problems = document.errors.slice(0, 20).map((error) => ({
      path: '',
      ...place(counter, error.pos[0]),
      message: `broken YAML: ${lowerFirst(error.message.split('\n')[0] ?? '')}`,
    }))
    return { ...resource, value: undefined, problems, positionOf, places: whole }
  }
  const fault = yamlFault(document.contents, maxDepth)
  if (fault !== undefined) {
    const message = fault.message.startsWith('nested') ? fault.message : `broken YAML: ${fault.message}`
    const problem = { path: '', ...place(counter, offsetOf(fault.node) ?? start), message }
    return { ...resource, value: undefined, problems: [problem], positionOf, places: whole }
  }
  try {
    // 100 aliases: an anchor bomb ends here with an error instead of filling the memory
    const value = document.toJS({ maxAliasCount: 100 }) as unknown
    const refusal = valueProblem(value, 0)
    if (refusal === undefined) return { ...resource, value, problems: [], positionOf, places }
    return {
      ...resource,
      value: undefined,
      problems: [{ path: '', ...place(counter, start), message: refusal }],
      positionOf,
      places,
    }
  } catch (error) {
    const problem = { path: '', ...place(counter, start), message: `broken YAML: ${reasonOf(error)}` }
    return { ...resource, value: undefined, problems: [problem], positionOf, places }
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
  if (error instanceof RangeError) return `nested deeper than ${maxDepth} levels`
  return error instanceof Error ? error.message : String(error)
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1).replace(/\.$/, '')
}
