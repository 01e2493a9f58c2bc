import { expect } from 'chai'
import { FrameReader, encodeFrame } from '../../../contracts/frame.ts'

describe('frames between our own processes', () => {
  it('come out whole, in order, however the stream is cut', () => {
    const stream = Buffer.concat([encodeFrame({ a: 1 }), encodeFrame({ b: 'ü'.repeat(300) }), encodeFrame({})])
    for (let size = 1; size <= stream.length; size++) {
      const reader = new FrameReader()
      const messages: unknown[] = []
      for (let at = 0; at < stream.length; at += size) messages.push(...reader.push(stream.subarray(at, at + size)))
      expect(messages).to.deep.equal([{ a: 1 }, { b: 'ü'.repeat(300) }, {}])
    }
  })

  it('are refused when longer than the limit, before any of their bytes are kept', () => {
    const reader = new FrameReader(10)
    expect(() => reader.push(Buffer.from([0, 0, 0, 11]))).to.throw('frame of 11 bytes, allowed 10')
  })

  it('are refused when they are not a JSON object', () => {
    for (const text of ['[]', '1', 'null', '{']) {
      const frame = Buffer.concat([Buffer.from([0, 0, 0, text.length]), Buffer.from(text)])
      expect(() => new FrameReader().push(frame), text).to.throw('frame')
    }
  })
})
