/**
 * The Huffman code of RFC 7541 appendix B. It is canonical: within a length codes grow with the symbol, so the lengths
 * are all there is to know.
 */

/** Length in bits of the code of each byte. */
// prettier-ignore
export const codeLengths = new Uint8Array([
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
  28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
  5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
  6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
  24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
  21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
  19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
  26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
])

const shortest = 5
const longest = 30

/** By length: the first code, how many there are, and where their symbols begin. */
const firstCode = new Int32Array(longest + 2)
const codeCount = new Int32Array(longest + 2)
const firstSymbol = new Int32Array(longest + 2)
/** Symbols by code. */
const symbols = new Uint8Array(256)
/** By the next eight bits: symbol, and in bits 8 to 11 the length of its code; 0 = a longer code. */
const shortCodes = new Uint16Array(256)

{
  let code = 0
  let at = 0
  for (let length = shortest; length <= longest; length++) {
    firstCode[length] = code
    firstSymbol[length] = at
    for (let symbol = 0; symbol < 256; symbol++) {
      if (codeLengths[symbol] !== length) continue
      symbols[at++] = symbol
      if (length <= 8) shortCodes.fill(symbol | (length << 8), code << (8 - length), (code + 1) << (8 - length))
      code++
    }
    codeCount[length] = code - firstCode[length]!
    code <<= 1
  }
}

/** 32 bits from bit `position` of `source[from..to)` on, filled up with ones behind the end. */
function bitsAt(source: Uint8Array, to: number, position: number): number {
  const at = position >>> 3
  const shift = position & 7
  const b = (index: number): number => (index < to ? source[index]! : 0xff)
  const high = ((b(at) << 24) | (b(at + 1) << 16) | (b(at + 2) << 8) | b(at + 3)) >>> 0
  return shift === 0 ? high : ((high << shift) | (b(at + 4) >>> (8 - shift))) >>> 0
}

/**
 * Decodes `source[from..to)` into `target` from `at` on, which has room for 8/5 of the bytes. Answers the end of what
 * was written, or -1 when the string is malformed: the end of string symbol, padding of eight bits or more, or padding
 * that is not all ones.
 */
export function huffmanDecode(source: Uint8Array, from: number, to: number, target: Uint8Array, at: number): number {
  let bits = 0
  let count = 0
  let i = from
  let end = at
  for (;;) {
    while (count < 8 && i < to) {
      bits = ((bits << 8) | source[i++]!) & 0xffff
      count += 8
    }
    if (count === 0) return end
    const next = count >= 8 ? (bits >>> (count - 8)) & 0xff : ((bits << (8 - count)) | (0xff >>> count)) & 0xff
    const entry = shortCodes[next]!
    const length = entry >>> 8
    if (entry !== 0 && length <= count) {
      target[end++] = entry
      count -= length
      continue
    }
    if (count < 8) return next === 0xff ? end : -1
    const position = i * 8 - count
    const found = longCode(bitsAt(source, to, position))
    const behind = position + (found >>> 8)
    if (found < 0 || behind > to * 8) return -1
    target[end++] = found
    i = behind >>> 3
    count = 0
    const over = behind & 7
    if (over !== 0) {
      bits = source[i++]!
      count = 8 - over
    }
  }
}

/**
 * The code of more than eight bits at the start of `window`: its symbol, and from bit 8 on its length; -1 = none (the
 * end of string).
 */
function longCode(window: number): number {
  for (let length = 9; length <= longest; length++) {
    const index = (window >>> (32 - length)) - firstCode[length]!
    if (index >= 0 && index < codeCount[length]!) {
      return symbols[firstSymbol[length]! + index]! | (length << 8)
    }
  }
  return -1
}
