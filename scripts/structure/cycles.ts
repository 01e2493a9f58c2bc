/** Files that need each other: the strongly connected parts of the graph of imports (Tarjan 1972), largest first. */
import type { SourceFile } from './imports.ts'

export interface Cycle {
  readonly files: readonly string[]
  /** One way round, as short as there is: each imports the next, the last one the first. */
  readonly way: readonly string[]
}

export function cyclesOf(files: readonly SourceFile[]): Cycle[] {
  const graph = new Map(files.map((file) => [file.path, [...new Set(file.imports.map((one) => one.path))]]))
  return components(graph)
    .filter((part) => part.length > 1 || graph.get(part[0]!)!.includes(part[0]!))
    .map((part) => ({ files: part.toSorted(), way: shortestWay(graph, new Set(part)) }))
    .toSorted((a, b) => b.files.length - a.files.length)
}

function components(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = []
  const order = new Map<string, number>()
  const low = new Map<string, number>()
  const stack: string[] = []
  const visit = (node: string): void => {
    order.set(node, order.size)
    low.set(node, order.get(node)!)
    stack.push(node)
    for (const next of graph.get(node) ?? []) {
      if (!graph.has(next)) continue
      if (!order.has(next)) {
        visit(next)
        low.set(node, Math.min(low.get(node)!, low.get(next)!))
      } else if (stack.includes(next)) low.set(node, Math.min(low.get(node)!, order.get(next)!))
    }
    if (low.get(node) === order.get(node)) found.push(stack.splice(stack.indexOf(node)))
  }
  for (const node of graph.keys()) if (!order.has(node)) visit(node)
  return found
}

function shortestWay(graph: ReadonlyMap<string, readonly string[]>, part: ReadonlySet<string>): string[] {
  let best: string[] = []
  for (const start of part) {
    const from = new Map<string, string>()
    const queue = [start]
    for (let node = queue.shift(); node !== undefined; node = queue.shift()) {
      for (const next of graph.get(node)!) {
        if (next === start) {
          const way = [node]
          while (way[0] !== start) way.unshift(from.get(way[0]!)!)
          if (best.length === 0 || way.length < best.length) best = way
          queue.length = 0
          break
        }
        if (part.has(next) && !from.has(next)) {
          from.set(next, node)
          queue.push(next)
        }
      }
    }
  }
  return best
}
