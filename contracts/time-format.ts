/**
 * `strftime` in UTC, as far as Envoy's START_TIME(…) knows it: the conversions below, and fractions of a second with
 * their digits, `%3f` (`%f` alone has nine). What is written into a line of the log is made by the code that checks it.
 */

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const days = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat']

const two = (value: number): string => String(value).padStart(2, '0')

const conversions: Readonly<Record<string, (at: Date) => string>> = {
  Y: (at) => String(at.getUTCFullYear()),
  y: (at) => two(at.getUTCFullYear() % 100),
  m: (at) => two(at.getUTCMonth() + 1),
  d: (at) => two(at.getUTCDate()),
  e: (at) => String(at.getUTCDate()).padStart(2, ' '),
  H: (at) => two(at.getUTCHours()),
  M: (at) => two(at.getUTCMinutes()),
  S: (at) => two(at.getUTCSeconds()),
  s: (at) => String(Math.floor(at.getTime() / 1000)),
  F: (at) => at.toISOString().slice(0, 10),
  T: (at) => at.toISOString().slice(11, 19),
  b: (at) => months[at.getUTCMonth()]!,
  a: (at) => days[at.getUTCDay()]!,
  z: () => '+0000',
  Z: () => 'UTC',
  '%': () => '%',
}

const conversion = /%(?:([1-9]?)f|(.?))/gs

/** The first conversion that is not known; undefined when all are. */
export function unknownConversion(format: string): string | undefined {
  for (const [whole, , letter] of format.matchAll(conversion))
    if (letter !== undefined && conversions[letter] === undefined) return whole
  return undefined
}

/** `epochMs`: whole ms; finer digits are zeros. `format` has no unknown conversion. */
export function formatTime(format: string, epochMs: number): string {
  const at = new Date(epochMs)
  return format.replaceAll(conversion, (whole: string, digits: string | undefined, letter: string | undefined) => {
    if (letter !== undefined) return conversions[letter]?.(at) ?? whole
    const fraction = String(at.getUTCMilliseconds()).padStart(3, '0').padEnd(9, '0')
    return fraction.slice(0, digits === undefined || digits === '' ? 9 : Number(digits))
  })
}
