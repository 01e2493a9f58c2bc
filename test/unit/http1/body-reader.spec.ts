import { expect } from 'chai'

import { BodyReader } from '../../../http1/body-reader.ts'
import { Fault } from '../../../http1/fault.ts'
import { BodyKind } from '../../../http1/types.ts'
import { defaultLimits } from '../../../contracts/snapshot.ts'
import { forwardBody } from '../../support/http1/codec-driver.ts'
import { bytes } from '../../support/http1/codec-words.ts'

describe('body reader', () => {
  it('passes a content-length body and leaves what follows', () => {
    for (let pieceBytes = 1; pieceBytes < 12; pieceBytes++) {
      const seen = forwardBody(bytes('hello worldGET /'), BodyKind.length, 11, { pieceBytes })
      expect(seen).to.deep.equal({ out: 'hello world', fault: 0, isDone: true, taken: 11 })
    }
  })

  it('is done at once without a body', () => {
    const body = new BodyReader()
    body.begin(BodyKind.none, -1, false, true, defaultLimits)
    expect([body.isDone, body.feed(bytes('GET /'), 0, 5), body.runCount]).to.deep.equal([true, 0, 0])
    body.begin(BodyKind.length, 0, false, true, defaultLimits)
    expect(body.isDone).to.equal(true)
  })

  it('passes the same chunked bytes however they are cut, in both forms', () => {
    const text = '3;a="b;c"\r\nabc\r\n0A;x=y;z\r\n0123456789\r\n1\r\n!\r\n0;last\r\nX-A: 1\r\nHost: no\r\nX-B:2\r\n\r\n'
    const input = bytes(`${text}GET /`)
    for (let pieceBytes = 1; pieceBytes <= input.length; pieceBytes++) {
      const wire = forwardBody(input, BodyKind.chunked, -1, { pieceBytes })
      expect(wire).to.deep.equal({
        out: '3\r\nabc\r\n0A\r\n0123456789\r\n1\r\n!\r\n0\r\nX-A: 1\r\nX-B:2\r\n\r\n',
        fault: 0,
        isDone: true,
        taken: text.length,
      })
      const payload = forwardBody(input, BodyKind.chunked, -1, { pieceBytes, unframes: true })
      expect([payload.out, payload.isDone, payload.taken]).to.deep.equal(['abc0123456789!', true, text.length])
    }
  })

  it('takes several feeds when chunks or extensions need more runs than its table holds', () => {
    const count = 1000
    const withExtensions = bytes(`${'1;x\r\na\r\n'.repeat(count)}0;y\r\n\r\n`)
    expect(forwardBody(withExtensions, BodyKind.chunked, -1).out).to.equal(`${'1\r\na\r\n'.repeat(count)}0\r\n\r\n`)
    expect(forwardBody(withExtensions, BodyKind.chunked, -1, { unframes: true }).out).to.equal('a'.repeat(count))
    const body = new BodyReader()
    body.begin(BodyKind.chunked, -1, false, true, defaultLimits)
    const taken = body.feed(withExtensions, 0, withExtensions.length)
    expect(taken).to.be.greaterThan(0).and.lessThan(withExtensions.length)
    expect(body.runCount).to.equal(64)
  })

  it('passes nothing of a feed that holds a fault, and stays at fault', () => {
    const body = new BodyReader()
    body.begin(BodyKind.chunked, -1, false, true, defaultLimits)
    const bad = bytes('1\r\na\r\n2\r\nbcX')
    expect(body.feed(bad, 0, bad.length)).to.equal(Fault.chunkEnd)
    expect([body.runCount, body.isDone]).to.deep.equal([0, false])
    const good = bytes('\n0\r\n\r\n')
    expect(body.feed(good, 0, good.length)).to.equal(Fault.chunkEnd)
  })

  it('counts content without framing', () => {
    const body = new BodyReader()
    body.begin(BodyKind.chunked, -1, false, true, defaultLimits)
    const input = bytes('3;x\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n')
    body.feed(input, 0, input.length)
    expect(body.contentBytes).to.equal(13)
  })

  it('ends a close-delimited body and a tunnel with the connection, others not', () => {
    const body = new BodyReader()
    const ends = (kind: BodyKind) => {
      body.begin(kind, 5, false, true, defaultLimits)
      body.feed(bytes('abc'), 0, kind === BodyKind.chunked ? 1 : 3)
      return body.endOfInput()
    }
    expect([BodyKind.untilClose, BodyKind.tunnel, BodyKind.length, BodyKind.chunked].map(ends)).to.deep.equal([
      true,
      true,
      false,
      false,
    ])
  })

  it('takes a chunk as large as a safe integer and counts it down', () => {
    const body = new BodyReader()
    body.begin(BodyKind.chunked, -1, false, true, defaultLimits)
    const input = bytes('1FFFFFFFFFFFFF\r\nabc')
    expect(body.feed(input, 0, input.length)).to.equal(input.length)
    body.begin(BodyKind.chunked, -1, false, true, defaultLimits)
    const tooLarge = bytes('20000000000000\r\nabc')
    expect(body.feed(tooLarge, 0, tooLarge.length)).to.equal(Fault.chunkSize)
  })
})
