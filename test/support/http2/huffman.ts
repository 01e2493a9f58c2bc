/** The packing half of the Huffman code of RFC 7541: workers write no strings in it, their peers may. */
import { codeLengths } from '../../../agent/worker/protocols/http2/hpack/huffman.ts'

const codes = new Uint32Array(256)
{
  let code = 0
  for (let length = 1; length <= 30; length++, code <<= 1)
    for (let symbol = 0; symbol < 256; symbol++) if (codeLengths[symbol] === length) codes[symbol] = code++
}

/** Writes `text` (latin1); answers the end. */
export function huffmanEncode(text: string, target: Uint8Array, at: number): number {
  let bits = 0
  let count = 0
  let end = at
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i)
    const length = codeLengths[symbol]!
    const code = codes[symbol]!
    for (let left = length; left > 0;) {
      const take = Math.min(left, 8 - count)
      bits = (bits << take) | ((code >>> (left - take)) & ((1 << take) - 1))
      count += take
      left -= take
      if (count === 8) {
        target[end++] = bits
        bits = 0
        count = 0
      }
    }
  }
  if (count > 0) target[end++] = (bits << (8 - count)) | (0xff >>> count)
  return end
}
