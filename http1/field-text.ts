/**
 * The grammar of names and values that did not come through the parser: rules, registry data, our own fields (R32).
 * Same tables as the parser's.
 */
import { tokenBytes, valueBytes } from './byte-classes.ts'

/** Whether `text` is a field name or method: one or more token characters. */
export function isToken(text: string): boolean {
  if (text.length === 0) return false
  for (let i = 0; i < text.length; i++) {
    if (tokenBytes[text.charCodeAt(i)] !== 1) return false
  }
  return true
}

/**
 * Whether `text` may stand as a field value: no control character but HTAB inside, no leading or trailing whitespace,
 * each character one byte. May be empty.
 */
export function isFieldValue(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if (valueBytes[text.charCodeAt(i)] !== 1) return false
  }
  return text.length === 0 || (isVisible(text.charCodeAt(0)) && isVisible(text.charCodeAt(text.length - 1)))
}

function isVisible(code: number): boolean {
  return code !== 0x20 && code !== 0x09
}
