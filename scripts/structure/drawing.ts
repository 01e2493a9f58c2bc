/** Folders and arrows as a picture: Graphviz's own layout, in WebAssembly. */
import { createRequire } from 'node:module'
import type { Arrow, Folder } from './folders.ts'

/** What is used of `@viz-js/viz`, which is loaded only here: nothing else needs its two megabytes. */
interface Viz {
  renderString(graph: string, options: { format: 'svg' }): string
}

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

export async function drawn(graph: string): Promise<string> {
  const { instance } = createRequire(import.meta.url)('@viz-js/viz') as { instance(): Promise<Viz> }
  return (await instance()).renderString(graph, { format: 'svg' })
}

/** `agent/worker` and `agent/control` are parts of their own. */
function partOf(path: string): string {
  const [first, second] = path.split('/')
  return first === 'agent' && second !== undefined ? `${first}/${second}` : first!
}

function quoted(text: string): string {
  return `"${text.replaceAll('"', String.raw`\"`)}"`
}
