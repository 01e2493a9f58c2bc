/**
 * Which files of npm packages a release can load. Packages carry more than one form of themselves, programs of their
 * own and what only a browser reads; a host that runs Hostmesh loads one form of what Hostmesh imports.
 *
 * What a file imports is read from its text, so that lazy imports count and nothing is run. A package one of whose
 * files finds others by computed names stays whole.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import Module from 'node:module'
import { dirname, join, sep } from 'node:path'

type Way = 'import' | 'require'

/** Words of the text that name a module, and by which way it is found. */
const named: readonly (readonly [Way, RegExp])[] = [
  ['require', /\brequire(?:\.resolve)?\((?:\s|\/\*.*?\*\/)*(['"`])([^'"`$]+)\1/g],
  ['import', /\b(?:from|import)\s*\(?(?:\s|\/\*.*?\*\/)*(['"`])([^'"`$]+)\1/g],
  ['import', /\bimport\.meta\.resolve\(\s*(['"`])([^'"`$]+)\1/g],
]
const computed =
  /\b(?:require(?:\.resolve)?|import)\((?!(?:\s|\/\*.*?\*\/)*(?:['")]|`[^`$]*`))|\b__dirname\b|\bimport\.meta\.(?:url|dirname)\b/
const moduleMarks =
  /^(?:['"]use strict['"]|Object\.defineProperty\(exports, ['"]__esModule['"], \{ value: true \}\)|export \{\s*\});?$/gm
const commentLines = /^\s*(?:\*|\/\*|\/\/).*$/gm

export interface Reached {
  /** Paths of files. */
  readonly files: ReadonlySet<string>
  /** Paths of the folders of packages of which at least one file is reached. */
  readonly packages: ReadonlySet<string>
}

/**
 * @param sources Files of our own, by path.
 * @param root Where the sources find their packages: the folder that holds `node_modules`.
 * @param isShipped Which files of a package that stays whole count.
 */
export function reachable(sources: readonly string[], root: string, isShipped: (path: string) => boolean): Reached {
  const files = new Set<string>()
  const packages = new Set<string>()
  const whole = new Set<string>()
  const open: string[] = []
  const add = (path: string): void => {
    if (files.has(path)) return
    files.add(path)
    open.push(path)
  }
  const follow = (path: string, text: string): void => {
    for (const [way, specifier] of specifiers(text)) {
      const found = resolved(specifier, path, way)
      if (found?.includes(`${sep}node_modules${sep}`)) add(found)
    }
  }
  // built files lie elsewhere, and find packages as the checkout does
  const ours = join(root, 'main.js')
  for (const path of sources) {
    const text = readFileSync(path, 'utf8')
    for (const [way, specifier] of specifiers(text)) {
      const found = specifier.startsWith('.') ? undefined : resolved(specifier, ours, way)
      if (found !== undefined) add(found)
    }
  }
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const folder = packageOf(path)
    packages.add(folder)
    for (let at = dirname(path); at.startsWith(folder); at = dirname(at)) {
      // says of which kind the files below it are
      const kind = join(at, 'package.json')
      if (existsSync(kind)) files.add(kind)
    }
    if (!/\.[cm]?js$/.test(path)) continue
    const text = readFileSync(path, 'utf8')
    follow(path, text)
    if (whole.has(folder) || !computed.test(text.replaceAll(commentLines, ''))) continue
    whole.add(folder)
    for (const one of filesOf(folder)) if (isShipped(one) && !isEmptyModule(one)) add(one)
  }
  return { files, packages }
}

/** Says no more than that it is a module: what a compiler leaves of a file of types. */
function isEmptyModule(path: string): boolean {
  if (!/\.[cm]?js$/.test(path)) return false
  const text = readFileSync(path, 'utf8').replaceAll(commentLines, '').replaceAll(moduleMarks, '')
  return text.trim() === ''
}

function* specifiers(text: string): Generator<readonly [Way, string]> {
  for (const [way, pattern] of named) for (const [, , specifier] of text.matchAll(pattern)) yield [way, specifier!]
}

/** Those of Node 26, beside the way itself. */
const conditions = ['node', 'node-addons', 'module-sync', 'default']

interface Resolver {
  _resolveFilename(name: string, parent: object, isMain: boolean, options: object): string
  _nodeModulePaths(folder: string): string[]
}

/** By the rules of Node itself; undefined = it is part of Node, or is not there. */
function resolved(specifier: string, from: string, way: Way): string | undefined {
  const { _nodeModulePaths: pathsOf, _resolveFilename: resolve } = Module as unknown as Resolver
  if (Module.isBuiltin(specifier)) return undefined
  const parent = { id: from, filename: from, paths: pathsOf(dirname(from)) }
  try {
    return resolve(specifier, parent, false, { conditions: new Set([...conditions, way]) })
  } catch {
    return undefined
  }
}

/** The folder of the package that a file belongs to. */
function packageOf(path: string): string {
  const parts = path.split(sep)
  const at = parts.lastIndexOf('node_modules')
  return parts.slice(0, at + (parts[at + 1]!.startsWith('@') ? 3 : 2)).join(sep)
}

/** Those of packages within it left out. */
function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name, parentPath }) => join(parentPath, name))
    .filter((path) => packageOf(path) === folder)
}
