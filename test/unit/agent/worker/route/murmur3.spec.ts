import { expect } from 'chai'
import { murmur3, murmur3Bytes } from '../../../../../agent/worker/route/murmur3.ts'

describe('murmur3', () => {
  it('gives the published values of the 32-bit variant', () => {
    expect(murmur3('')).to.equal(0)
    expect(murmur3('', 1)).to.equal(0x514e28b7)
    expect(murmur3('', 0xffffffff)).to.equal(0x81f16f39)
    expect(murmur3('test')).to.equal(0xba6bd213)
    expect(murmur3('test', 0x9747b28c)).to.equal(0x704b81dc)
    expect(murmur3('Hello, world!', 0x9747b28c)).to.equal(0x24884cba)
    expect(murmur3('The quick brown fox jumps over the lazy dog', 0x9747b28c)).to.equal(0x2fa826cd)
    expect(murmur3('aaa', 0x9747b28c)).to.equal(0x283e0130)
    expect(murmur3('aa', 0x9747b28c)).to.equal(0x5d211726)
    expect(murmur3('a', 0x9747b28c)).to.equal(0x7fa09ea6)
  })

  it('hashes a string as its UTF-8 bytes', () => {
    for (const text of ['ü', 'abcü', '订单', 'plain', 'x'.repeat(31)]) {
      expect(murmur3(text), text).to.equal(murmur3Bytes(Buffer.from(text)))
    }
  })

  it('spreads similar keys evenly over buckets', () => {
    const buckets = Array.from({ length: 16 }, () => 0)
    for (let i = 0; i < 16_000; i++) buckets[murmur3(`user-${i}`) & 15]! += 1
    for (const count of buckets) expect(count).to.be.within(850, 1150)
  })
})
