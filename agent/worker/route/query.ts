/**
 * First value of a query parameter, decoded as a form (`+` is a space, `%20` too); undefined when it is not there.
 * A broken escape leaves the value as it was sent. Only rules that ask for a parameter pay for this.
 */
export function queryParameter(query: string, name: string): string | undefined {
  let from = 0
  while (from <= query.length) {
    let to = query.indexOf('&', from)
    if (to < 0) to = query.length
    let equals = query.indexOf('=', from)
    if (equals < 0 || equals > to) equals = to
    if (decode(query.slice(from, equals)) === name && to > from) return decode(query.slice(equals + 1, to))
    from = to + 1
  }
  return undefined
}

function decode(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text
  const spaced = text.replaceAll('+', ' ')
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced
  }
}
