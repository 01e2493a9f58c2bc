/**
 * The pictures of the documentation: Graphviz's text beside each of them, and the look that they share. A node or edge
 * says by its `class` what it stands for; colours are chosen here alone, to be read on light and on dark pages.
 */
import { globSync, readFileSync } from 'node:fs'
import { drawn } from './graphviz.ts'

/** What a node or an edge stands for, as Graphviz's attributes. */
const looks: Readonly<Record<string, string>> = {
  app: 'fillcolor="#e8f1fb" color="#3b74b8"',
  traffic: 'fillcolor="#e3f4e8" color="#2f8550"',
  mesh: 'fillcolor="#f3edfb" color="#7a53b3"',
  outside: 'fillcolor="#f4f4f2" color="#77756c"',
  config: 'fillcolor="#fdf6e0" color="#a97f12" fontcolor="#7d5e0d"',
  bad: 'fillcolor="#fdeae8" color="#b8423b"',
  spare: 'color="#b8423b" fontcolor="#b8423b" style="dashed"',
}

const shared = `
  graph [bgcolor="white" pad="0.2" nodesep="0.3" ranksep="0.4" fontname="Helvetica,Arial,sans-serif" fontsize="11" fontcolor="#444444" color="#bbbbbb" style="rounded"]
  node [shape="box" style="rounded,filled" fontname="Helvetica,Arial,sans-serif" fontsize="11" fontcolor="#1c1c1c" margin="0.28,0.08"]
  edge [fontname="Helvetica,Arial,sans-serif" fontsize="10" fontcolor="#444444" color="#555555" arrowsize="0.7"]
`

/** `.dot` text with our look; a class that is not known is an error with its name. */
function dressed(source: string): string {
  const body = source.replace(/\bclass=(\w+)/g, (_, name: string) => {
    const look = looks[name]
    if (look === undefined) throw new RangeError(`class ${name}: found none; allowed ${Object.keys(looks).join(', ')}`)
    return look
  })
  return body.replace('{', `{${shared}`)
}

/** Every picture of `docs/pictures/`: the SVG's path, and how it is made from the text beside it. */
export function pictures(): Readonly<Record<string, () => Promise<string>>> {
  return Object.fromEntries(
    globSync('docs/pictures/*.dot').map((file) => [
      file.replace(/dot$/, 'svg'),
      () => drawn(dressed(readFileSync(file, 'utf8'))),
    ]),
  )
}
