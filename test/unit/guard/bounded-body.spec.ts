import { Readable } from 'node:stream'
import { expect } from 'chai'
import { boundedBody } from '../../../guard/bounded-body.ts'

describe('a body of bounded length', () => {
  it('is read whole up to the bound, an empty one too', async () => {
    expect((await boundedBody(Readable.from([Buffer.from('abc'), Buffer.from('de')]), 5))?.toString()).to.equal('abcde')
    expect((await boundedBody(Readable.from([]), 5))?.length).to.equal(0)
  })

  it('is given up at the bound, and no more of it is read', async () => {
    let sent = 0
    function* endless(): Generator<Buffer> {
      for (;;) {
        sent++
        yield Buffer.alloc(100)
      }
    }
    expect(await boundedBody(Readable.from(endless(), { highWaterMark: 1 }), 1000)).to.equal(undefined)
    expect(sent).to.be.below(20)
  })

  it('rejects with what broke it off', async () => {
    const body = new Readable({ read: () => undefined })
    const read = boundedBody(body, 10)
    body.destroy(new Error('gone'))
    const error = await read.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect((error as Error).message).to.equal('gone')
  })
})
