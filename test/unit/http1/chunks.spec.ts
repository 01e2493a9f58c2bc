import { expect } from 'chai'
import { maxChunkHeadBytes, writeChunkHead } from '../../../http1/chunks.ts'

describe('chunk writer', () => {
  it('writes hexadecimal within the room it announces', () => {
    const out = Buffer.alloc(maxChunkHeadBytes)
    for (const length of [1, 9, 10, 15, 16, 255, 256, 65_536, 2 ** 32, Number.MAX_SAFE_INTEGER]) {
      const end = writeChunkHead(out, 0, length)
      expect(out.toString('latin1', 0, end)).to.equal(`${length.toString(16)}\r\n`)
    }
  })
})
