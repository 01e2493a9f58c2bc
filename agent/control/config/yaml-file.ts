/** A YAML file with positions: the plain value, and the line of every path in it. */
import { readFileSync, statSync } from 'node:fs'
import { LineCounter, isMap, isScalar, isSeq, parseDocument, type Document, type Node } from 'yaml'
import { endlessFile, isEndless } from '../../../contracts/endless-file.ts'
import { yamlExcess, yamlFault } from '../../../contracts/yaml-bounds.ts'
import type { ConfigProblem } from './problem.ts'

/** Larger files are refused unread: a configuration of 10,000 services stays far below. */
export const maxConfigFileBytes = 4 * 1024 * 1024

/** 10,000 services with all their fields. */
const configBounds = { documentNodes: 400_000, nodes: 400_000 }
const maxDepth = 64

export interface YamlFile {
  readonly file: string
  readonly value: unknown
  /**
   * Of the value at `path`; with `key`, of that key inside the map at `path`. The nearest existing ancestor if it is
   * not there.
   */
  positionOf(path: readonly PropertyKey[], key?: string): { line: number; column: number }
}

/**
 * Reads and parses; every syntax error becomes a problem. Never throws. `mayBePipe`: a file that somebody named, as
 * against one that was found in a folder.
 */
export function readYamlFile(file: string, mayBePipe = true): { yaml?: YamlFile; problems: ConfigProblem[] } {
  let source: string
  try {
    const found = statSync(file)
    if (!mayBePipe && isEndless(found)) return { problems: [whole(file, endlessFile)] }
    const { size } = found
    if (size > maxConfigFileBytes)
      return { problems: [whole(file, `${size} bytes, allowed ${maxConfigFileBytes}; the file is not read`)] }
    source = readFileSync(file, 'utf8')
  } catch (error) {
    return { problems: [whole(file, `cannot be read: ${systemReason(error)}`)] }
  }
  return parseYaml(file, source)
}

function parseYaml(file: string, source: string): { yaml?: YamlFile; problems: ConfigProblem[] } {
  const excess = yamlExcess(source, configBounds)
  if (excess !== undefined) return { problems: [{ ...whole(file, excess.message), line: excess.line, column: 1 }] }
  const counter = new LineCounter()
  let document: Document.Parsed
  let value: unknown
  try {
    document = parseDocument(source, { lineCounter: counter, prettyErrors: false, uniqueKeys: false, strict: true })
    if (document.errors.length > 0) {
      return {
        problems: document.errors.slice(0, 20).map((error) => {
          const at = counter.linePos(error.pos[0])
          const message = error.message.split('\n')[0]!
          return {
            severity: 'error',
            file,
            line: at.line,
            column: at.col,
            path: '',
            message: `broken YAML: ${message.charAt(0).toLowerCase()}${message.slice(1).replace(/\.$/, '')}`,
            nearest: undefined,
          }
        }),
      }
    }
    const fault = yamlFault(document.contents, maxDepth)
    if (fault !== undefined) {
      const at = place(counter, offsetOf(fault.node) ?? 0)
      return { problems: [{ ...whole(file, `broken YAML: ${fault.message}`), ...at }] }
    }
    // 100 aliases: an anchor bomb ends here with an error instead of filling the memory
    value = document.toJS({ maxAliasCount: 100 })
  } catch (error) {
    return { problems: [whole(file, `broken YAML: ${error instanceof Error ? error.message : String(error)}`)] }
  }
  return { yaml: { file, value, positionOf: (path, key) => positionIn(document, counter, path, key) }, problems: [] }
}

function positionIn(document: Document, counter: LineCounter, path: readonly PropertyKey[], key: string | undefined) {
  let node: unknown = document.contents
  let best = offsetOf(node) ?? 0
  for (const part of path) {
    const next = step(node, part)
    if (next === undefined) return place(counter, best)
    best = next.offset
    node = next.value
  }
  if (key !== undefined) best = step(node, key)?.offset ?? best
  return place(counter, best)
}

/** The key's own offset for a map, so that a line number points at the name and not at the value below it. */
function step(node: unknown, part: PropertyKey): { value: unknown; offset: number } | undefined {
  if (isMap(node)) {
    const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part))
    if (pair === undefined) return undefined
    return { value: pair.value, offset: offsetOf(pair.key) ?? 0 }
  }
  if (isSeq(node)) {
    const item = node.items[Number(part)]
    return item === undefined ? undefined : { value: item, offset: offsetOf(item) ?? 0 }
  }
  return undefined
}

function offsetOf(node: unknown): number | undefined {
  return (node as Node | null | undefined)?.range?.[0]
}

function place(counter: LineCounter, offset: number): { line: number; column: number } {
  const at = counter.linePos(offset)
  return { line: at.line, column: at.col }
}

function whole(file: string, message: string): ConfigProblem {
  return { severity: 'error', file, line: 0, column: 0, path: '', message, nearest: undefined }
}

export function systemReason(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | undefined)?.code
  const known: Readonly<Record<string, string>> = {
    ENOENT: 'it does not exist',
    EACCES: 'permission denied',
    EISDIR: 'it is a directory',
    ENOTDIR: 'a part of the path is no directory',
    EROFS: 'the file system is read-only',
    ENOSPC: 'no space left on the device',
    EPERM: 'not permitted',
  }
  if (code !== undefined) return known[code] === undefined ? code : `${known[code]} (${code})`
  return error instanceof Error ? error.message : String(error)
}
