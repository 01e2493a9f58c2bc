import { expect } from 'chai'
import { StringCache } from '../../../http1/string-cache.ts'
import { bytes } from '../../support/http1/codec-words.ts'

describe('string cache', () => {
  it('is right when two strings share a slot, and keeps no long ones', () => {
    const cache = new StringCache(1, 8)
    const buf = bytes('abcdABCDlong-long-long')
    for (let round = 0; round < 3; round++) {
      expect(cache.get(buf, 0, 4)).to.equal('abcd')
      expect(cache.get(buf, 4, 8)).to.equal('ABCD')
      expect(cache.getLowerCase(buf, 4, 8)).to.equal('abcd')
      expect(cache.get(buf, 8, 22)).to.equal('long-long-long')
      expect(cache.get(buf, 3, 3)).to.equal('')
    }
    expect(() => new StringCache(3)).to.throw('power of two')
  })
})
