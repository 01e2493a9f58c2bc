/**
 * Finds the candidates for a path among many exact and prefix conditions in one walk along the path, in the order of
 * the rules.
 *
 * A radix tree: each node holds the numbers of the conditions that end there. A walk visits a handful of nodes whatever
 * the number of routes, and yields every prefix on the way plus the exact conditions at its end; numbers without a path
 * condition belong to the root's prefixes (the empty prefix).
 */
export interface PathTable {
  /**
   * Writes the numbers whose path condition holds into `out`, ascending, and returns how many. `out` must hold `size`
   * numbers.
   */
  candidates(path: string, out: Int32Array): number
}

interface Node {
  edge: string
  readonly children: Map<number, Node>
  readonly prefixes: number[]
  readonly exacts: number[]
}

export interface PathEntry {
  readonly kind: 'exact' | 'prefix'
  readonly path: string
  readonly number: number
}

export function pathTable(entries: readonly PathEntry[]): PathTable {
  const root = newNode('')
  for (const entry of entries) insert(root, entry)
  return {
    candidates(path, out) {
      let count = 0
      let node = root
      let at = 0
      for (;;) {
        for (const number of node.prefixes) out[count++] = number
        if (at === path.length) {
          for (const number of node.exacts) out[count++] = number
          break
        }
        const next = node.children.get(path.charCodeAt(at))
        if (next === undefined || !path.startsWith(next.edge, at)) break
        at += next.edge.length
        node = next
      }
      sortAscending(out, count)
      return count
    },
  }
}

function newNode(edge: string): Node {
  return { edge, children: new Map(), prefixes: [], exacts: [] }
}

function insert(root: Node, entry: PathEntry): void {
  let node = root
  let at = 0
  while (at < entry.path.length) {
    const code = entry.path.charCodeAt(at)
    const next = node.children.get(code)
    if (next === undefined) {
      const leaf = newNode(entry.path.slice(at))
      node.children.set(code, leaf)
      node = leaf
      break
    }
    const shared = sharedLength(next.edge, entry.path, at)
    if (shared < next.edge.length) {
      const middle = newNode(next.edge.slice(0, shared))
      next.edge = next.edge.slice(shared)
      middle.children.set(next.edge.charCodeAt(0), next)
      node.children.set(code, middle)
      node = middle
    } else node = next
    at += shared
  }
  ;(entry.kind === 'exact' ? node.exacts : node.prefixes).push(entry.number)
}

function sharedLength(edge: string, path: string, at: number): number {
  const most = Math.min(edge.length, path.length - at)
  let length = 0
  while (length < most && edge.charCodeAt(length) === path.charCodeAt(at + length)) length++
  return length
}

/** Insertion sort: the runs are short and each is ascending already. */
function sortAscending(numbers: Int32Array, count: number): void {
  for (let i = 1; i < count; i++) {
    const number = numbers[i]!
    let at = i
    while (at > 0 && numbers[at - 1]! > number) {
      numbers[at] = numbers[at - 1]!
      at--
    }
    numbers[at] = number
  }
}
