/** Puts content into chunks: for replies whose end only the connection told (R27). */

/** Ends a chunked body without trailers. */
export const lastChunk: Buffer = Buffer.from('0\r\n\r\n', 'latin1')

/** Goes after the data of each chunk. */
export const chunkEnd: Buffer = Buffer.from('\r\n', 'latin1')

/** Room that `writeChunkHead` needs. */
export const maxChunkHeadBytes = 16

/** Writes the line before `length` (1..2^53-1) bytes of data; answers the position after it. */
export function writeChunkHead(out: Buffer, at: number, length: number): number {
  let digits = 1
  for (let rest = Math.floor(length / 16); rest > 0; rest = Math.floor(rest / 16)) digits++
  let rest = length
  for (let i = at + digits - 1; i >= at; i--) {
    const digit = rest % 16
    out[i] = digit < 10 ? digit + 0x30 : digit + 0x57
    rest = (rest - digit) / 16
  }
  out[at + digits] = 0x0d
  out[at + digits + 1] = 0x0a
  return at + digits + 2
}
