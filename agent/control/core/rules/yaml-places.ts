/** Where the parts of a parsed YAML document stand, as plain data that can leave the thread of the parser. */
import { isMap, isScalar, isSeq } from 'yaml'

export interface Position {
  readonly line: number
  readonly column: number
}

/** Line and column (from 1) of a key or a list item, then what stands below it. */
export type Place = readonly [
  line: number,
  column: number,
  below?: readonly Place[] | { readonly [key: string]: Place },
]

/**
 * `offsetOf` and `placeOf`: as the parser's document tells them. Recursion goes as deep as the document, which has been
 * held against its bound.
 */
export function placesBelow(
  node: unknown,
  at: Position,
  offsetOf: (node: unknown) => number | undefined,
  placeOf: (offset: number) => Position,
): Place {
  const positionOf = (part: unknown): Position => {
    const offset = offsetOf(part)
    return offset === undefined ? at : placeOf(offset)
  }
  const inner = (part: unknown, value: unknown): Place => placesBelow(value, positionOf(part), offsetOf, placeOf)
  if (isMap(node))
    return [
      at.line,
      at.column,
      Object.fromEntries(
        node.items.flatMap(({ key, value }) => (isScalar(key) ? [[String(key.value), inner(key, value)]] : [])),
      ),
    ]
  if (isSeq(node)) return [at.line, at.column, node.items.map((item) => inner(item, item))]
  return [at.line, at.column]
}

/** Position of the key (or list item) at the path; the nearest ancestor that is there. */
export function positionIn(root: Place, path: readonly PropertyKey[]): Position {
  let place = root
  for (const part of path) {
    const below = place[2]
    const name = String(part)
    const next = below !== undefined && Object.hasOwn(below, name) ? (below as Record<string, Place>)[name] : undefined
    if (next === undefined) break
    place = next
  }
  return { line: place[0], column: place[1] }
}
