import { expect } from 'chai'
import { Frames } from '../../../../registry-adapters/zookeeper/frames.ts'
import { seededRandom } from '../../../support/seeded-random.ts'

const frame = (body: Buffer): Buffer => {
  const head = Buffer.alloc(4)
  head.writeInt32BE(body.length)
  return Buffer.concat([head, body])
}

function cut(maxBytes: number): { frames: Frames; heard: string[] } {
  const heard: string[] = []
  const frames = new Frames(maxBytes, {
    onFrame: (one) => heard.push(one.toString('latin1')),
    onOversize: (head, length) => heard.push(`oversize ${length} ${head.toString('latin1')}`),
    onNonsense: (length) => heard.push(`nonsense ${length}`),
  })
  return { frames, heard }
}

describe('frames of ZooKeeper', () => {
  it('are the same wherever the stream is cut', () => {
    const random = seededRandom(7)
    const bodies = Array.from({ length: 200 }, (_, index) => Buffer.alloc(Math.floor(random() * 40), 97 + (index % 26)))
    const stream = Buffer.concat(bodies.map(frame))
    for (let turn = 0; turn < 50; turn++) {
      const { frames, heard } = cut(64)
      for (let at = 0; at < stream.length;) {
        const size = 1 + Math.floor(random() * 30)
        frames.feed(stream.subarray(at, at + size))
        at += size
      }
      expect(heard).to.deep.equal(bodies.map((body) => body.toString('latin1')))
    }
  })

  it('over the bound are read past, wherever the stream is cut, and the next one is whole', () => {
    const long = Buffer.concat([Buffer.from('0123456789abcdef'), Buffer.alloc(1000, 120)])
    const stream = Buffer.concat([frame(Buffer.from('a')), frame(long), frame(Buffer.from('b'))])
    for (let size = 1; size < 200; size++) {
      const { frames, heard } = cut(64)
      for (let at = 0; at < stream.length; at += size) frames.feed(stream.subarray(at, at + size))
      expect(heard).to.deep.equal(['a', 'oversize 1016 0123456789abcdef', 'b'])
    }
  })

  it('of a length that cannot be are told', () => {
    const { frames, heard } = cut(64)
    frames.feed(Buffer.from([0xff, 0xff, 0xff, 0xfe, 1, 2]))
    expect(heard).to.deep.equal(['nonsense -2'])
  })
})
