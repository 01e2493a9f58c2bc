import { expect } from 'chai'

import { fuzzHpack } from '../../../../../support/http2/fuzz/hpack-fuzz.ts'
import { fuzzSessions } from '../../../../../support/http2/fuzz/session-fuzz.ts'

const seed = 20_261_129

describe('fuzzing HTTP/2', function () {
  this.timeout(60_000)

  it('reads blocks as another encoder wrote them, and refuses damaged ones without harm (10,000 of a fixed seed)', () => {
    const totals = fuzzHpack(seed, 10_000)
    expect(totals.fields).to.be.greaterThan(10_000)
    expect(totals.refused).to.be.greaterThan(1000)
  })

  it('stays whole whatever a peer says, in both roles (20,000 frames of a fixed seed)', async () => {
    const totals = await fuzzSessions(seed, 20_000)
    expect(totals.heads).to.be.greaterThan(500)
    expect(totals.ended).to.be.within(50, totals.connections - 50)
  })
})
