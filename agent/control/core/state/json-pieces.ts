/**
 * The JSON text of plain data in pieces, so that a file of many megabytes is written without stopping everything else:
 * the joined pieces are exactly `JSON.stringify(value)`. Objects and arrays are cut down to `depth` levels; below that
 * a value is one piece. A `Map` down to there is an object with its keys; unlike an object, it is not listed first.
 */
export function* jsonPieces(value: unknown, depth: number): Generator<string> {
  if (depth === 0 || typeof value !== 'object' || value === null) {
    yield JSON.stringify(value)
    return
  }
  const isList = Array.isArray(value)
  yield isList ? '[' : '{'
  let isFirst = true
  for (const [key, one] of value instanceof Map ? (value as Map<string, unknown>) : Object.entries(value)) {
    // as JSON.stringify: an undefined member is left out, an undefined item is null
    if (one === undefined && !isList) continue
    const comma = isFirst ? '' : ','
    isFirst = false
    yield isList ? comma : `${comma}${JSON.stringify(key)}:`
    if (one === undefined) yield 'null'
    else yield* jsonPieces(one, depth - 1)
  }
  yield isList ? ']' : '}'
}
