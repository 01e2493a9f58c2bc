/**
 * `npm run structure [-- --svg FILE]`: folders with their sizes, arrows between them, and what is against the bounds of
 * `bounds.ts`.
 *
 * Exit code 1 if anything is.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { readBorders } from './borders.ts'
import { complaints } from './bounds.ts'
import { drawn } from '../graphviz.ts'
import { graphText } from './drawing.ts'
import { arrowsOf, foldersOf, percentile } from './folders.ts'
import { readSources } from './imports.ts'
import { productFolders, userFolders } from './parts.ts'

const { values } = parseArgs({ options: { svg: { type: 'string' } } })
const root = join(import.meta.dirname, '../..')
const files = readSources(root, productFolders)
const folders = foldersOf(files)
const arrows = arrowsOf(files)

print([
  ['folder', 'files', 'lines', 'median', 'largest'],
  ...folders.map(({ path, files: count, lines, median, largest }) => [
    path,
    String(count),
    String(lines),
    String(median),
    `${largest.lines} ${largest.path.slice(path.length + 1)}`,
  ]),
])
console.log()
print([
  ['from', 'to', 'imports', 'of types only'],
  ...arrows.map(({ from, to, imports, types }) => [from, to, String(imports), String(types)]),
])
console.log()

const bySize = files.toSorted((a, b) => a.lines - b.lines)
const [median, most] = [percentile(bySize, 0.5), percentile(bySize, 0.9)]
console.log(`${files.length} files, median ${median} lines, 90 % below ${most}, longest ${bySize.at(-1)?.lines}`)
const broken = complaints(files, readSources(root, userFolders), readBorders(root))
for (const complaint of broken) console.log(complaint)
if (broken.length === 0)
  console.log('no cycle of imports, types included; nothing stands twice or for nobody; all sizes within bounds')

if (values.svg !== undefined) writeFileSync(values.svg, await drawn(graphText(folders, arrows)))
process.exitCode = broken.length > 0 ? 1 : 0

function print(rows: readonly (readonly string[])[]): void {
  const widths = rows[0]!.map((_, at) => Math.max(...rows.map((row) => row[at]!.length)))
  for (const row of rows)
    console.log(
      row
        .map((cell, at) => cell.padEnd(widths[at]!))
        .join('  ')
        .trimEnd(),
    )
}
