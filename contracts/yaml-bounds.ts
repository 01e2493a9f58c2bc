/**
 * Bounds of a YAML text, checked in one pass over its characters before a parser sees it, and duplicate keys found in
 * linear time.
 *
 * A parser of YAML makes objects for each node and compares the keys of a map pairwise: 40,000 keys in 69 KB took 52 s.
 * What is counted here is every character that can begin a node, wherever it stands (also in a quoted text or a
 * comment): sometimes a little too much, never too little.
 */

export interface YamlBounds {
  /** Of one document of the text; about 6 µs of a parser each. */
  readonly documentNodes: number
  /** Of all documents of the text. */
  readonly nodes: number
}

export interface YamlExcess {
  /** From 1: where the bound is passed. */
  readonly line: number
  readonly message: string
}

const newline = 0x0a
const exclamation = 0x21
const doubleQuote = 0x22
const ampersand = 0x26
const singleQuote = 0x27
const star = 0x2a
const comma = 0x2c
const dash = 0x2d
const colon = 0x3a
const question = 0x3f
const openList = 0x5b
const backslash = 0x5c
const openMap = 0x7b

/** Texts below these bounds hold a loop up for some 10 ms at most. */
const shortText = { bytes: 32 * 1024, nodes: 1000 }

/** Whether a text is read beside the loop. */
export function isLongYaml(text: string): boolean {
  const { bytes, nodes } = shortText
  return text.length > bytes || yamlExcess(text, { documentNodes: nodes, nodes }) !== undefined
}

/**
 * Lines, list items, keys, brackets, commas, quotes, escapes, tags, anchors and aliases of one document and of all of
 * them, held against the bounds. undefined: within.
 */
export function yamlExcess(text: string, bounds: YamlBounds): YamlExcess | undefined {
  let line = 1
  let total = 0
  let inDocument = 0
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case newline:
        line++
        inDocument++
        if (text.startsWith('---', at + 1)) {
          total += inDocument
          inDocument = 0
        }
        break
      case comma:
      case exclamation:
      case ampersand:
      case star:
      case openList:
      case openMap:
        inDocument++
        break
      case doubleQuote:
      case singleQuote:
      case backslash: // an escape that YAML does not know costs the parser an error with its place: 1 MiB of them took 4 s
        inDocument += 0.5
        break
      case dash:
      case question:
      case colon:
        if (!isInsideWord(text.charCodeAt(at + 1))) inDocument++
        break
      default:
        continue
    }
    if (inDocument > bounds.documentNodes)
      return {
        line,
        message: `one document of more than ${bounds.documentNodes} nodes, allowed ${bounds.documentNodes}`,
      }
    if (total + inDocument > bounds.nodes)
      return { line, message: `more than ${bounds.nodes} nodes, allowed ${bounds.nodes}` }
  }
  return undefined
}

/** A `-`, `?` or `:` before such a character is part of a plain word. NaN: the end of the text. */
function isInsideWord(next: number): boolean {
  const isLetterOrDigit =
    (next >= 0x30 && next <= 0x39) || (next >= 0x41 && next <= 0x5a) || (next >= 0x61 && next <= 0x7a)
  return isLetterOrDigit || next === 0x2f || next === dash || next === 0x5f || next === 0x2e
}

/**
 * What the check of a parsed document needs to see of it: maps and lists have `items`, pairs a `key` and a `value`,
 * scalars a `value`.
 */
interface AnyNode {
  readonly items?: readonly unknown[]
  readonly key?: unknown
  readonly value?: unknown
  /** Name of an anchor: the node is an alias. */
  readonly source?: unknown
}

export interface YamlFault {
  /** The node that is at fault, as the parser made it; it knows its place. */
  readonly node: unknown
  readonly message: string
}

/** Each alias costs a look at the whole document. */
export const maxYamlAliases = 100

/**
 * First key that stands twice in its map, first node below `maxDepth` levels, or first alias over the bound. Linear,
 * and without recursion. `root`: contents of a document that was parsed without a check of its keys.
 */
export function yamlFault(root: unknown, maxDepth: number): YamlFault | undefined {
  let aliases = 0
  const nodes: unknown[] = [root]
  const depths: number[] = [0]
  while (nodes.length > 0) {
    const node = nodes.pop() as AnyNode | null | undefined
    const depth = depths.pop()!
    const items = node?.items
    if (!Array.isArray(items)) {
      const isAlias = typeof node?.source === 'string' && !('value' in node)
      if (isAlias && ++aliases > maxYamlAliases)
        return { node, message: `more than ${maxYamlAliases} aliases, allowed ${maxYamlAliases}` }
      continue
    }
    if (depth > maxDepth) return { node, message: `nested deeper than ${maxDepth} levels` }
    const keys = new Set<unknown>()
    for (const item of items as (AnyNode | null | undefined)[]) {
      const isPair = typeof item === 'object' && item !== null && 'key' in item
      if (isPair) {
        const key = scalarOf(item.key)
        if (keys.has(key)) return { node: item.key, message: 'map keys must be unique' }
        if (key !== undefined) keys.add(key)
        nodes.push(item.key)
        depths.push(depth + 1)
      }
      nodes.push(isPair ? item.value : item)
      depths.push(depth + 1)
    }
  }
  return undefined
}

/** As an object will have it: the number 1 and the text "1" are one key. undefined for maps and lists as keys. */
function scalarOf(key: unknown): string | undefined {
  const node = key as AnyNode | null | undefined
  if (typeof node !== 'object' || node === null) return String(key)
  return Array.isArray(node.items) || (typeof node.value === 'object' && node.value !== null)
    ? undefined
    : String(node.value)
}
