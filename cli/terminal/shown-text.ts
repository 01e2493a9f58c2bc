/**
 * What is printed holds words of others: paths and methods of callers, names of registries and rules. None of them may
 * move the cursor of a terminal, set its title, or turn the direction of a line round.
 */

/** Our own colours, else C0 (but tab and line end) and C1, line and paragraph separators, marks of direction. */
const unshown =
  // oxlint-disable-next-line no-control-regex
  /\u001b\[[\d;]*m|[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/g

/** Each of them as a space; lines and colours stay. */
export function shownText(text: string): string {
  return text.replace(unshown, (found) => (found.length > 1 ? found : ' '))
}

/** The same of JSON, where an escape says what was there. */
export function shownJson(json: string): string {
  return json.replace(unshown, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}${found.slice(1)}`)
}
