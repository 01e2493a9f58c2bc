/** C0 and C1, line and paragraph separators, and what turns the direction of text round. */
// oxlint-disable-next-line no-control-regex
const unprintable = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]+/g

/** Foreign text as a terminal may show it. */
export function printable(text: string): string {
  return text.replace(unprintable, ' ')
}

/** Foreign text (names in registries, rules) as one line of at most `most` characters that a terminal may show. */
export function cleanText(text: string, most: number): string {
  const line = printable(text).trim()
  return line.length <= most ? line : `${line.slice(0, most - 1)}…`
}
