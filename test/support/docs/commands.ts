/** The lines of the documentation that call the command. */
import { globSync, readFileSync } from 'node:fs'

/** Words of a shell line up to a pipe, a redirection or a remark in prose (two spaces and more). */
export function wordsOf(line: string): string[] {
  return (beforeShell(line).match(/'[^']*'|"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^(['"])(.*)\1$/, '$2'))
}

function beforeShell(line: string): string {
  return line.replace(/ {2,}.*$/, '').split(/ [|>&]|;| #| 2>/)[0]!
}

/** In code blocks: `hostmesh …`, up to what the shell does with it, and a page where it stands. */
export function commandsOfDocs(): Map<string, string> {
  const found = new Map<string, string>()
  for (const file of ['README.md', 'README.zh.md', ...globSync('docs/**/*.md')])
    for (const line of commandsIn(file)) if (!file.endsWith('quick-start.md')) found.set(beforeShell(line), file)
  return found
}

export function commandsIn(file: string): string[] {
  const blocks = [...readFileSync(file, 'utf8').matchAll(/^ *```[^\n]*\n(.*?)^ *```$/gms)].map(([, text]) => text!)
  return blocks
    .flatMap((text) => text.split('\n'))
    .map((line) => /(?:^|\$ +|until |\bbin\/)(hostmesh [a-z].*)$/.exec(line.trim())?.[1])
    .filter((line) => line !== undefined)
}
