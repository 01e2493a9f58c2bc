/**
 * Which file imports which. All files are formatted by one program, so an import is told by its words; TypeScript 7 has
 * no API to ask.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { join, posix } from 'node:path'

export interface SourceFile {
  /** From the root, with `/`. */
  readonly path: string
  readonly lines: number
  readonly text: string
  readonly imports: readonly Import[]
}

export interface Import {
  /** Path of the imported file, from the root. */
  readonly path: string
  /** Erased when the file is loaded: `import type`, or only `type` names. */
  readonly isType: boolean
}

const statement =
  /^(?:import|export)\s+(type\s+)?([^'"]*?)\s*from\s+'(\.[^']+)'|^import\s+'(\.[^']+)'|\bimport\('(\.[^']+)'\)/gm

/** The relative imports of a text; a path twice when it is imported twice. */
export function importsOf(path: string, text: string): Import[] {
  const folder = posix.dirname(path)
  return [...text.matchAll(statement)].map(([, type, names, from, bare, lazy]) => ({
    path: posix.join(folder, (from ?? bare ?? lazy)!),
    isType: type !== undefined || (names !== undefined && hasOnlyTypes(names)),
  }))
}

/** Every `.ts` file below these folders of the root, by path. */
export function readSources(root: string, folders: readonly string[]): SourceFile[] {
  return folders
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => posix.join(folder, name)),
    )
    .filter((path) => path.endsWith('.ts'))
    .toSorted()
    .map((path) => {
      const text = readFileSync(join(root, path), 'utf8')
      return { path, lines: text.split('\n').length - 1, text, imports: importsOf(path, text) }
    })
}

function hasOnlyTypes(names: string): boolean {
  const list = /^\{([\s\S]*)\}$/.exec(names)?.[1]
  if (list === undefined) return false
  return list.split(',').every((name) => name.trim() === '' || name.trim().startsWith('type '))
}
