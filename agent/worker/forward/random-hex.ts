const hexDigits = Buffer.from('0123456789abcdef', 'latin1')

/** Puts `count` random digits of lower-case hex there, 8 of each number. `random`: from 0 to below 1. */
export function writeRandomHex(into: Buffer, at: number, count: number, random: () => number): void {
  let word = 0
  for (let digit = 0; digit < count; digit++) {
    if ((digit & 7) === 0) word = (random() * 0x1_0000_0000) >>> 0
    into[at + digit] = hexDigits[word & 15]!
    word >>>= 4
  }
}
