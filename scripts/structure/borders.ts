/**
 * What no file may load lazily: the borders of `.oxlintrc.json` (`no-restricted-imports`), which the linter holds for
 * imports that are written at the head of a file, hold for `import('…')`, too.
 */
import { readFileSync } from 'node:fs'
import { join, matchesGlob } from 'node:path'
import type { SourceFile } from './imports.ts'

interface Pattern {
  readonly regex?: string
  /** As in a gitignore: the last that matches decides, `!` takes back. */
  readonly group?: readonly string[]
  readonly message: string
}

export interface Border {
  readonly files: readonly string[]
  readonly patterns: readonly Pattern[]
}

interface Override {
  readonly files: readonly string[]
  readonly rules: {
    readonly 'no-restricted-imports'?: readonly [string, { readonly patterns: readonly Pattern[] }]
  }
}

const rule = 'no-restricted-imports'
const lazyImport = /\bimport\('([^']+)'\)/g

export function readBorders(root: string): Border[] {
  const { overrides } = JSON.parse(readFileSync(join(root, '.oxlintrc.json'), 'utf8')) as { overrides: Override[] }
  return overrides.flatMap(({ files, rules }) => {
    const given = rules[rule]
    return given === undefined ? [] : [{ files, patterns: given[1].patterns }]
  })
}

/** Every lazy import over a border, a line each. As in the linter the last border that names a file is its own. */
export function crossings(files: readonly SourceFile[], borders: readonly Border[]): string[] {
  return files.flatMap(({ path, text }) => {
    const wanted = [...text.matchAll(lazyImport)].map(([, specifier]) => specifier!)
    if (wanted.length === 0) return []
    const border = borders.findLast((one) => one.files.some((glob) => matchesGlob(path, glob)))
    return wanted.flatMap((specifier) => {
      const broken = border?.patterns.find((pattern) => refuses(pattern, specifier))
      return broken === undefined ? [] : [`over a border: ${path} loads ${specifier}: ${broken.message}`]
    })
  })
}

function refuses({ group = [], regex }: Pattern, specifier: string): boolean {
  if (regex !== undefined && new RegExp(regex).test(specifier)) return true
  const plain = withoutWayUp(specifier)
  let isRefused = false
  for (const given of group) {
    const isBack = given.startsWith('!')
    if (matchesGlob(plain, withoutWayUp(isBack ? given.slice(1) : given))) isRefused = !isBack
  }
  return isRefused
}

/** A way that leads up (`../../a/b.ts`) is told by what it leads to. */
function withoutWayUp(specifier: string): string {
  return specifier.replace(/^(?:\.{1,2}\/)+/, '')
}
