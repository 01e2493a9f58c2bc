import { expect } from 'chai'

import { fuzzCodec } from '../../support/http1/fuzz/codec-fuzz.ts'
import { requestStream } from '../../support/http1/fuzz/generate.ts'
import { Random } from '../../support/http1/fuzz/random.ts'

describe('fuzzing the HTTP/1.1 codec', () => {
  it('passes on nothing that a strict parser refuses, whole or in pieces (5,000 messages of a fixed seed)', function () {
    this.timeout(60_000)
    const totals = fuzzCodec(20_261_120, 5000)
    expect(totals.passed).to.be.greaterThan(1000)
    expect(totals.refused).to.be.greaterThan(500)
  })

  it('makes the same streams from the same seed', () => {
    const made = (seed: number) => requestStream(new Random(seed)).bytes.toString('latin1')
    expect(made(7)).to.equal(made(7))
    expect(made(7)).to.not.equal(made(8))
  })
})
