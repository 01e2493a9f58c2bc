/**
 * Value of the first cookie with this name in a `cookie` field (RFC 6265 section 4.2.1), without surrounding quotes;
 * undefined when it is not there.
 */
export function cookieValue(field: string | undefined, name: string): string | undefined {
  if (field === undefined) return undefined
  let from = 0
  while (from < field.length) {
    let to = field.indexOf(';', from)
    if (to < 0) to = field.length
    const equals = field.indexOf('=', from)
    if (equals >= 0 && equals < to && field.slice(from, equals).trim() === name) {
      const value = field.slice(equals + 1, to).trim()
      return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value
    }
    from = to + 1
  }
  return undefined
}
