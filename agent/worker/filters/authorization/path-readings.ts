/**
 * What a path may mean to the application behind us. It gets the path as it came (R37), so a rule may not trust one
 * way of reading it: what is to be denied is denied if any reading matches, and what is to be allowed needs every
 * reading to match. Readings: as it came; with percent signs decoded, up to three times; backslashes as slashes; with
 * and without what follows a `;` in a segment; repeated slashes as one, before and behind the removal of `.` and `..`.
 */

/** The readings of a path, the one as it came first. null: nobody can tell what it means (NUL, overlong UTF-8). */
export type PathReadings = readonly string[] | null

const suspicious = /[%;\\]|\/[/.]/
const maxDecodings = 3
/** Longer ones that need more than one reading are read by nobody. */
const maxSuspicious = 4096

/** Of most paths there is one. `only` is handed in and filled for those, so that they cost nothing. */
export function pathReadings(path: string, only: string[]): PathReadings {
  if (!suspicious.test(path)) {
    only[0] = path
    return only
  }
  if (path.length > maxSuspicious) return null
  const readings = new Set([path])
  let text = path
  for (let round = 0; ; round++) {
    addForms(text, readings)
    const decoded = decode(text)
    if (decoded === null) return null
    if (decoded === text) break
    // encoded over and over: nobody means well who does that
    if (round === maxDecodings) return null
    text = decoded
  }
  return [...readings]
}

function addForms(text: string, readings: Set<string>): void {
  const slashed = text.replaceAll('\\', '/')
  for (const form of new Set([text, slashed, withoutParameters(slashed)])) {
    readings.add(form)
    readings.add(withoutDots(form))
    readings.add(withoutDots(merged(form)))
    readings.add(merged(withoutDots(form)))
  }
}

/** One round; null where bytes are no text. A percent sign that begins no byte stays as it is. */
function decode(text: string): string | null {
  if (!text.includes('%')) return text
  // longest runs first, so that bytes of one character stay together
  let isBad = false
  const decoded = text.replace(/(?:%[0-9a-fA-F]{2})+/g, (run) => {
    const bytes = Buffer.from(run.replaceAll('%', ''), 'hex')
    if (bytes.includes(0) || hasOverlong(bytes)) isBad = true
    return bytes.toString('utf8')
  })
  return isBad ? null : decoded
}

/**
 * Whether a lenient decoder may find a character here that is written shorter: `/` as `c0 af`, `e0 80 af`, `f0 80 80
 * af`, or in the forms of five and six bytes that UTF-8 once had. Other bytes that are no UTF-8 (surrogates, numbers
 * beyond Unicode, text of another code page) are no character of ASCII for anybody.
 */
function hasOverlong(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at++) {
    const first = bytes[at]!
    if (first === 0xc0 || first === 0xc1) return true
    const below = overlongBelow.get(first)
    if (below !== undefined && bytes[at + 1]! >= 0x80 && bytes[at + 1]! < below) return true
  }
  return false
}

/** First byte of a sequence: a second one from 0x80 to below this makes it longer than it need be. */
const overlongBelow: ReadonlyMap<number, number> = new Map([
  [0xe0, 0xa0],
  [0xf0, 0x90],
  [0xf8, 0x88],
  [0xfc, 0x84],
])

function withoutParameters(path: string): string {
  return path.includes(';') ? path.replace(/;[^/]*/g, '') : path
}

function merged(path: string): string {
  return path.includes('//') ? path.replace(/\/{2,}/g, '/') : path
}

/** RFC 3986 section 5.2.4. */
function withoutDots(path: string): string {
  if (!path.includes('/.')) return path
  const kept: string[] = []
  const segments = path.split('/')
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1
    if (segment === '..') {
      if (kept.length > 1) kept.pop()
    } else if (segment !== '.') {
      kept.push(segment)
      continue
    }
    if (isLast) kept.push('')
  }
  return kept.join('/')
}
