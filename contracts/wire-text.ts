/**
 * Text of rules and bytes of requests. A field's value holds one character for each byte as it came; a rule's text
 * means its UTF-8 bytes. Both directions, and nothing is done for ASCII, which is nearly everything.
 */
// oxlint-disable-next-line no-control-regex -- every character of ASCII
const ascii = /^[\0-\x7f]*$/

/** What a text looks like in a request. */
export function wireText(text: string): string {
  return ascii.test(text) ? text : Buffer.from(text, 'utf8').toString('latin1')
}

/** The text that such bytes mean; they themselves where they are no UTF-8. */
export function readableText(wire: string): string {
  if (ascii.test(wire)) return wire
  const text = Buffer.from(wire, 'latin1').toString('utf8')
  return text.includes('\ufffd') ? wire : text
}

/** Without the blanks and tabs around it. What else `trim` takes off, 0xa0, may be a part of a character. */
export function withoutBlanks(wire: string): string {
  let from = 0
  let to = wire.length
  while (from < to && isBlank(wire.charCodeAt(from))) from++
  while (from < to && isBlank(wire.charCodeAt(to - 1))) to--
  return wire.slice(from, to)
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09
}
