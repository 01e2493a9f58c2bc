/**
 * Runs of lines that stand in two files. White space at the ends, blank lines, comments, imports and lines without a
 * letter do not count, and declarations of names with their types neither: who imports the same, closes the same
 * brackets, or implements what an interface says, repeats nothing.
 */

export interface SourceText {
  readonly path: string
  readonly text: string
}

export interface Repeat {
  /** `path:line` where each run begins. */
  readonly places: readonly [string, string]
  readonly files: readonly [string, string]
  /** Lines that count. */
  readonly lines: number
}

interface Line {
  readonly path: string
  /** From 1. */
  readonly at: number
  readonly words: string
}

const declaration = /^(?:readonly )?\w+\??: [\w<>[\]| ,]+$/

/** Longest first; runs of less than `least` lines are none. Runs within one file are its own matter. */
export function repeatsOf(files: readonly SourceText[], least: number): Repeat[] {
  const all = files.map(linesOf)
  const seen = new Map<string, [file: number, at: number][]>()
  for (const [file, lines] of all.entries())
    for (let at = 0; at + least <= lines.length; at++) {
      const run = lines.slice(at, at + least).map(({ words }) => words)
      const key = run.join('\n')
      const places = seen.get(key) ?? []
      places.push([file, at])
      seen.set(key, places)
    }
  const found: Repeat[] = []
  for (const places of seen.values())
    for (const [one, [file, at]] of places.entries())
      for (const [other, from] of places.slice(one + 1)) {
        if (other === file) continue
        const [a, b] = [all[file]!, all[other]!]
        // it was told with its beginning
        if (at > 0 && from > 0 && a[at - 1]!.words === b[from - 1]!.words) continue
        let lines = least
        while (a[at + lines] !== undefined && a[at + lines]!.words === b[from + lines]?.words) lines++
        found.push({
          places: [placeOf(a[at]!), placeOf(b[from]!)],
          files: [a[at]!.path, b[from]!.path],
          lines,
        })
      }
  return found.toSorted((a, b) => b.lines - a.lines)
}

function linesOf({ path, text }: SourceText): Line[] {
  const code = text.replace(/^(?:import|export)\s[^'"]*?from\s+'[^']+'$/gm, (statement) =>
    statement.replace(/[^\n]/g, ''),
  )
  return code
    .split('\n')
    .map((line, index) => ({ path, at: index + 1, words: line.trim() }))
    .filter(({ words }) => /[a-z]/i.test(words) && !/^(?:\/\/|\/?\*|import\s)/.test(words) && !declaration.test(words))
}

function placeOf({ path, at }: Line): string {
  return `${path}:${at}`
}
