/**
 * Where the nodes of a service graph stand: callers left of whom they call, in columns, with few crossings. Pure; 200
 * nodes and 1,000 edges take some ms. The same names and edges always give the same picture.
 */

export interface Spot {
  readonly x: number
  readonly y: number
}

export interface Layout {
  readonly spots: ReadonlyMap<string, Spot>
  readonly width: number
  readonly height: number
}

export const nodeWidth = 168
export const nodeHeight = 44
const columnGap = 96
/** Between the parts of a folded column. */
const foldGap = 26
const rowGap = 18
/** A column with more nodes is folded into several beside each other. */
const mostRows = 22
const sweeps = 6

export function layOut(edges: readonly { readonly source: string; readonly target: string }[]): Layout {
  const names = [...new Set(edges.flatMap(({ source, target }) => [source, target]))].toSorted()
  const calls = neighbours(names, edges, 'source', 'target')
  const callers = neighbours(names, edges, 'target', 'source')
  const columns = ordered(columnsOf(names, calls), calls, callers)
  const spots = new Map<string, Spot>()
  const pieces = columns.map(folded)
  const tallest = Math.max(1, ...pieces.flat().map(({ length }) => length))
  const height = tallest * (nodeHeight + rowGap) - rowGap
  let x = 0
  for (const parts of pieces) {
    for (const part of parts) {
      const top = (height - (part.length * (nodeHeight + rowGap) - rowGap)) / 2
      for (const [row, name] of part.entries()) spots.set(name, { x, y: top + row * (nodeHeight + rowGap) })
      x += nodeWidth + foldGap
    }
    x += columnGap - foldGap
  }
  return { spots, width: Math.max(nodeWidth, x - columnGap), height: Math.max(nodeHeight, height) }
}

function neighbours(
  names: readonly string[],
  edges: readonly { readonly source: string; readonly target: string }[],
  from: 'source' | 'target',
  to: 'source' | 'target',
): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>(names.map((name) => [name, []]))
  for (const edge of edges) if (edge.source !== edge.target) found.get(edge[from])!.push(edge[to])
  return found
}

/** Column of each node: one right of its farthest caller, circles cut where a walk comes back to where it is. */
function columnsOf(names: readonly string[], calls: ReadonlyMap<string, readonly string[]>): string[][] {
  const done: string[] = []
  const state = new Map<string, 'open' | 'done'>()
  const forward = new Map<string, string[]>()
  for (const start of names) {
    const walk: { readonly name: string; at: number }[] = state.has(start) ? [] : [{ name: start, at: 0 }]
    if (walk.length > 0) state.set(start, 'open')
    while (walk.length > 0) {
      const step = walk.at(-1)!
      const next = calls.get(step.name)![step.at++]
      if (next === undefined) {
        state.set(step.name, 'done')
        done.push(step.name)
        walk.pop()
        continue
      }
      if (state.get(next) === 'open') continue
      forward.set(step.name, [...(forward.get(step.name) ?? []), next])
      if (state.has(next)) continue
      state.set(next, 'open')
      walk.push({ name: next, at: 0 })
    }
  }
  const depth = new Map<string, number>()
  for (const name of done.toReversed())
    for (const next of forward.get(name) ?? [])
      depth.set(next, Math.max(depth.get(next) ?? 0, (depth.get(name) ?? 0) + 1))
  const columns: string[][] = []
  for (const name of names) (columns[depth.get(name) ?? 0] ??= []).push(name)
  return columns.filter(Boolean)
}

/** Each node is drawn towards the mean place of its neighbours, a few times from left to right and back. */
function ordered(
  columns: readonly string[][],
  calls: ReadonlyMap<string, readonly string[]>,
  callers: ReadonlyMap<string, readonly string[]>,
): string[][] {
  const sorted = columns.map((column) => [...column])
  const place = new Map<string, number>()
  const note = (column: readonly string[]): void => {
    for (const [at, name] of column.entries()) place.set(name, (at + 0.5) / column.length)
  }
  for (const column of sorted) note(column)
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const isForward = sweep % 2 === 0
    const towards = isForward ? callers : calls
    for (const column of isForward ? sorted : sorted.toReversed()) {
      const mean = new Map(
        column.map((name) => {
          const near = towards.get(name)!
          const sum = near.reduce((all, one) => all + place.get(one)!, 0)
          return [name, near.length === 0 ? place.get(name)! : sum / near.length]
        }),
      )
      column.sort((a, b) => mean.get(a)! - mean.get(b)! || (a < b ? -1 : 1))
      note(column)
    }
  }
  return sorted
}

function folded(column: readonly string[]): string[][] {
  const pieces = Math.ceil(column.length / mostRows)
  const length = Math.ceil(column.length / pieces)
  return Array.from({ length: pieces }, (_none, at) => column.slice(at * length, (at + 1) * length))
}
