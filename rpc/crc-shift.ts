/**
 * What a change of some bytes does to the CRC-32 behind them (polynomial of IEEE 802.3, as Java's and zlib's), without
 * reading the rest: CRC is linear, so the checksum changes by the CRC of the difference, moved on by the bytes that
 * follow it. A frame that was broken on its way keeps a wrong checksum.
 */
const polynomial = 0xed_b8_83_20

const table: Uint32Array = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1
  return value >>> 0
})

/** Product of two polynomials modulo the one of the CRC, in its reflected form. */
function multiply(a: number, b: number): number {
  let product = 0
  let factor = b
  for (let bit = 31; bit >= 0; bit--) {
    if ((a >>> bit) & 1) product ^= factor
    factor = factor & 1 ? (factor >>> 1) ^ polynomial : factor >>> 1
  }
  return product >>> 0
}

/** `powers[n]`: what 2^n bytes of zeros multiply a checksum by. */
const powers: Uint32Array = ((): Uint32Array => {
  const made = new Uint32Array(32)
  // x^8: one byte
  made[0] = 0x00_80_00_00
  for (let n = 1; n < 32; n++) made[n] = multiply(made[n - 1]!, made[n - 1]!)
  return made
})()

/**
 * By what the CRC-32 changes, with exclusive or, when `was[0..count)` becomes `becomes[0..count)` and `behind` bytes
 * follow it.
 */
export function crcChange(was: Uint8Array, becomes: Uint8Array, count: number, behind: number): number {
  let value = 0
  for (let at = 0; at < count; at++) value = (value >>> 8) ^ table[(value ^ was[at]! ^ becomes[at]!) & 0xff]!
  for (let n = 0, left = behind; left > 0; n++, left = Math.floor(left / 2)) {
    if (left % 2 === 1) value = multiply(value >>> 0, powers[n]!)
  }
  return value >>> 0
}
