import { expect } from 'chai'

import { KeptBytes } from '../../../../../agent/worker/transport/kept-bytes.ts'

const text = (length: number, from = 0): Buffer => Buffer.from(Array.from({ length }, (_, at) => (from + at) % 251))

/** Takes everything, a piece at a time. */
function takeAll(kept: KeptBytes): { bytes: Buffer; pieces: number } {
  const taken: Buffer[] = []
  while (kept.length > 0) {
    const piece = kept.first()
    kept.drop(piece.length)
    taken.push(piece)
  }
  return { bytes: Buffer.concat(taken), pieces: taken.length }
}

describe('bytes that wait', () => {
  it('come back in their order, however they came and however they are taken', () => {
    const kept = new KeptBytes()
    const all = text(300_000)
    const sizes = [1, 3, 700, 1, 16_384, 2, 40_000, 1]
    const taken: Buffer[] = []
    for (let at = 0, turn = 0; at < all.length || kept.length > 0; turn++) {
      const next = Math.min(all.length, at + sizes[turn % sizes.length]!)
      kept.add(all, at, next)
      at = next
      if (turn % 3 !== 0 && at < all.length) continue
      const part = kept.first()
      const count = Math.min(part.length, sizes[(turn * 5) % sizes.length]!)
      taken.push(Buffer.from(part.subarray(0, count)))
      kept.drop(count)
      if (turn % 30 === 0) expect(kept.whole().equals(all.subarray(at - kept.length, at))).to.equal(true)
    }
    expect(Buffer.concat(taken).equals(all)).to.equal(true)
  })

  it('are few pieces when they came one by one', () => {
    const kept = new KeptBytes()
    const all = text(65_535)
    for (let at = 0; at < all.length; at++) kept.add(all, at, at + 1)
    expect(kept.additions).to.equal(65_535)
    const { bytes, pieces } = takeAll(kept)
    expect(bytes.equals(all)).to.equal(true)
    expect(pieces).to.be.lessThan(20)
    expect([kept.length, kept.additions]).to.deep.equal([0, 0])
  })

  it('stay as they are in a piece that is told while more is added', () => {
    const kept = new KeptBytes()
    for (let at = 0; at < 10; at++) kept.add(text(1, at), 0, 1)
    kept.drop(1)
    const piece = kept.first()
    kept.drop(piece.length)
    for (let at = 0; at < 10; at++) kept.add(Buffer.from('x'), 0, 1)
    expect(piece.equals(text(9, 1))).to.equal(true)
    expect(kept.whole().toString()).to.equal('x'.repeat(10))
  })
})
