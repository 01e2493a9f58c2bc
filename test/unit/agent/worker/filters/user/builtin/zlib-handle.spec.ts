import { constants, gunzipSync, inflateRawSync } from 'node:zlib'
import { expect } from 'chai'
import { deflateBlocksWith, gzipWith } from '../../../../../../../agent/worker/filters/user/builtin/zlib-handle.ts'
import { seededRandom } from '../../../../../../support/seeded-random.ts'

describe('one compressor for all replies', () => {
  const random = seededRandom(7)
  const noise = (count: number): Buffer => Buffer.from(Array.from({ length: count }, () => Math.floor(random() * 256)))
  const inputs = [
    Buffer.alloc(0),
    Buffer.from('a'),
    Buffer.from('{"a":1}'.repeat(1500)),
    noise(65_536),
    noise(65_537),
    Buffer.alloc(300_000, 'x'),
    Buffer.from('again'),
  ]

  it('makes of each what can be read by itself, whatever was before', () => {
    const gzip = gzipWith(1)
    for (const input of inputs) expect(gunzipSync(gzip(input)).equals(input), String(input.length)).to.equal(true)
  })

  it('makes blocks that can be put behind each other', () => {
    const blocksOf = deflateBlocksWith(6)
    const all = Buffer.concat(inputs.map((input) => blocksOf(input)))
    const read = inflateRawSync(all, { finishFlush: constants.Z_SYNC_FLUSH })
    expect(read.equals(Buffer.concat(inputs))).to.equal(true)
  })

  it('gives memory of its own: the next reply does not write over it', () => {
    const gzip = gzipWith(1)
    const first = gzip(Buffer.from('first'))
    gzip(Buffer.from('second, and longer'))
    expect(gunzipSync(first).toString()).to.equal('first')
  })
})
