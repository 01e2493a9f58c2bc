/**
 * Names like a pattern: `*` stands for any characters, also none; no other character is special. Linear, whatever the
 * text: the parts of the pattern are looked for in their order.
 */
export type NamePattern = (text: string) => boolean

export function namePattern(pattern: string): NamePattern {
  const [first = '', ...rest] = pattern.split('*')
  const last = rest.pop()
  if (last === undefined) return (text) => text === pattern
  return (text) => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false
    let at = first.length
    for (const part of rest) {
      at = text.indexOf(part, at)
      if (at < 0) return false
      at += part.length
    }
    return at <= text.length - last.length
  }
}
