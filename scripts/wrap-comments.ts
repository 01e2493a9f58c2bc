/**
 * Wraps comments at 120 columns, which the formatter leaves as they are: `npm run format` runs it, and a project test
 * holds it. A line that is too long goes on in the next one of its paragraph; words are never cut.
 *
 *   node scripts/node.js scripts/wrap-comments.ts [FILE…]
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs'

const width = 120

/** The text with its long comment lines wrapped; the same text when there are none. */
export function wrapComments(text: string): string {
  const lines = text.split('\n')
  const done: string[] = []
  for (let line = lines.shift(); line !== undefined; line = lines.shift()) {
    const single = line.length > width ? /^(\s*)\/\*\* (.*) \*\/$/.exec(line) : null
    const part = line.length > width ? /^(\s*(?:\*|\/\/) )(- )?(\s*)(.*)$/.exec(line) : null
    if (single !== null) {
      const [, indent = '', words = ''] = single
      lines.unshift(`${indent} * ${words}`, `${indent} */`)
      done.push(`${indent}/**`)
    } else if (part !== null) {
      const [, mark = '', bullet = '', spaces = '', words = ''] = part
      const [first, rest] = cut(words, width - mark.length - bullet.length - spaces.length)
      done.push(mark + bullet + spaces + first)
      if (rest !== '') putBefore(lines, mark + ' '.repeat(bullet.length) + spaces, rest)
    } else {
      done.push(line)
    }
  }
  return done.join('\n')
}

/** In two at the last space within `room`; at the first one when a word is longer than that. */
function cut(words: string, room: number): readonly [string, string] {
  if (words.length <= room) return [words, '']
  const last = words.lastIndexOf(' ', room)
  const at = last > 0 ? last : words.indexOf(' ')
  return at < 0 ? [words, ''] : [words.slice(0, at).trimEnd(), words.slice(at + 1).trimStart()]
}

/** At the beginning of the next line when that is of the same paragraph, else as a line of its own. */
function putBefore(lines: string[], prefix: string, words: string): void {
  const next = lines[0] ?? ''
  const more = next.slice(prefix.length)
  const goesOn = next.startsWith(prefix) && /^[^\s]/.test(more) && !/^(?:- |\* |@|```|\d+\. )/.test(more)
  if (goesOn) lines[0] = `${prefix}${words} ${more}`
  else lines.unshift(prefix + words)
}

if (import.meta.main) {
  const named = process.argv.slice(2)
  const files = named.length > 0 ? named : globSync('**/*.ts', { exclude: ['node_modules', '.cache', 'dist'] })
  for (const file of files) {
    const text = readFileSync(file, 'utf8')
    const wrapped = wrapComments(text)
    if (wrapped !== text) writeFileSync(file, wrapped)
  }
}
