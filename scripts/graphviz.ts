/** Graphviz's own layout, in WebAssembly. */
import { createRequire } from 'node:module'

/** What is used of `@viz-js/viz`, which is loaded only here and when a picture is made: two megabytes. */
interface Viz {
  renderString(graph: string, options: { format: 'svg' }): string
}

/** A graph in Graphviz's language as SVG. */
export async function drawn(graph: string): Promise<string> {
  const { instance } = createRequire(import.meta.url)('@viz-js/viz') as { instance(): Promise<Viz> }
  return (await instance()).renderString(graph, { format: 'svg' })
}
