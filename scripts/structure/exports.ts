/**
 * Functions, classes and values that a file exports and no other file names: nobody calls them, or only their own file
 * does. Types are not looked at, for what is exported says them; nor is `contracts/`, which may say more than is heard.
 */
import { posix } from 'node:path'
import type { SourceFile } from './imports.ts'

/** What others load by name: the SDK, and the command. */
const entries: ReadonlySet<string> = new Set(['sdk/index.ts', 'cli/main.ts'])

const wholly = /^(?:import|export) \* (?:as \w+ )?from '(\.[^']+)'/gm
const exported = /^export (?:abstract )?(?:async )?(?:function\*?|class|const|let) (\w+)/gm

/** `path name` each; `users`: files that may use what `files` export, and are not looked at themselves. */
export function unusedExports(files: readonly SourceFile[], users: readonly SourceFile[]): string[] {
  const words = new Map<string, Set<string>>()
  const whole = new Set<string>()
  for (const { imports, path: from, text } of [...files, ...users]) {
    if (imports.length === 0) continue
    for (const [, path] of text.matchAll(wholly)) whole.add(posix.join(posix.dirname(from), path!))
    const own = text.match(/\w+/g) ?? []
    for (const { path } of imports) {
      const known = words.get(path) ?? new Set<string>()
      words.set(path, known)
      for (const word of own) known.add(word)
    }
  }
  return files
    .filter(({ path }) => !entries.has(path) && !whole.has(path) && !path.startsWith('contracts/'))
    .flatMap(({ path, text }) =>
      [...text.matchAll(exported)].flatMap(([, name]) => (words.get(path)?.has(name!) ? [] : [`${path} ${name}`])),
    )
}
