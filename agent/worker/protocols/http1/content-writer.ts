import { chunkEnd, lastChunk, maxChunkHeadBytes, writeChunkHead } from '../../../../http1/chunks.ts'
import { fieldLines } from '../../../../http1/edit-bytes.ts'
import type { Fields } from '../../forward/streams.ts'
import type { Output } from '../../transport/output.ts'

/** Puts content into the output as this protocol frames it: as it is, or in chunks. */
export class ContentWriter {
  isChunked = false
  private readonly output: Output

  constructor(output: Output) {
    this.output = output
  }

  content(buf: Buffer, from: number, to: number): void {
    const { output } = this
    if (!this.isChunked) {
      output.copy(buf, from, to)
      return
    }
    if (from === to) return
    output.room(maxChunkHeadBytes)
    output.length = writeChunkHead(output.bytes, output.length, to - from)
    output.copy(buf, from, to)
    output.append(chunkEnd)
  }

  /** Trailers exist in chunks only; elsewhere they are left out. */
  end(trailers: Fields | null): void {
    if (!this.isChunked) return
    if (trailers === null) this.output.append(lastChunk)
    else this.output.latin1(`0\r\n${fieldLines(trailers)}\r\n`)
  }
}
