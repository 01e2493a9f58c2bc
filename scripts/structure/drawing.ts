/** Folders and arrows as a picture, in Graphviz's language. */
import { partOf } from './folders.ts'
import type { Arrow, Folder } from './folders.ts'

/** A box per folder, framed by its part, and an arrow per direction; dashed where only types are imported. */
export function graphText(folders: readonly Folder[], arrows: readonly Arrow[]): string {
  const parts = Map.groupBy(folders, ({ path }) => partOf(path))
  const lines = [
    'digraph structure {',
    '  rankdir=LR; node [shape=box fontname="sans-serif"]; edge [color="#00000060"];',
  ]
  for (const [part, inside] of parts) {
    lines.push(`  subgraph ${quoted(`cluster ${part}`)} {`, `    label=${quoted(part)}; color="#999999";`)
    for (const { path, files, lines: size } of inside)
      lines.push(
        `    ${quoted(path)} [label=${quoted(`${path.slice(part.length + 1) || part}\\n${files} files, ${size} lines`)}];`,
      )
    lines.push('  }')
  }
  for (const { from, to, imports, types } of arrows)
    lines.push(`  ${quoted(from)} -> ${quoted(to)} [label="${imports}"${types === imports ? ' style=dashed' : ''}];`)
  return [...lines, '}', ''].join('\n')
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', String.raw`\"`)}"`
}
