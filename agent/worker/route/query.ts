/**
 * First value of a query parameter, name and value as they are on the wire, as Envoy compares them; undefined when it
 * is not there. Only rules that ask for a parameter pay for this.
 */
export function queryParameter(query: string, name: string): string | undefined {
  let from = 0
  while (from <= query.length) {
    let to = query.indexOf('&', from)
    if (to < 0) to = query.length
    let equals = query.indexOf('=', from)
    if (equals < 0 || equals > to) equals = to
    if (to > from && equals - from === name.length && query.startsWith(name, from)) return query.slice(equals + 1, to)
    from = to + 1
  }
  return undefined
}
