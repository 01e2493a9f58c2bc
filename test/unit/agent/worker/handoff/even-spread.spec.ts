import { expect } from 'chai'

import { allowedExcess, giftsOf, maxGifts } from '../../../../../agent/worker/handoff/even-spread.ts'

const loads = (...active: readonly number[]) => active.map((count, index) => ({ index, active: count }))

/** What every worker has after each gave what it should. */
function after(...active: readonly number[]): number[] {
  const result = [...active]
  for (const own of active.keys()) {
    for (const { count, to } of giftsOf(own, loads(...active))) {
      result[own]! -= count
      result[to]! += count
    }
  }
  return result
}

describe('what a worker gives away so that all are equally busy', () => {
  it('is what it has above the mean', () => {
    expect(giftsOf(0, loads(10, 0))).to.deep.equal([{ to: 1, count: 5 }])
    expect(giftsOf(1, loads(10, 0))).to.deep.equal([])
    expect(after(7, 3)).to.deep.equal([5, 5])
    expect(after(5, 3, 3)).to.deep.equal([4, 4, 3])
  })

  it('goes to whoever has the least, one by one, and two that give do not overfill a third', () => {
    expect(after(10, 0, 0)).to.deep.equal([4, 3, 3])
    expect(after(10, 10, 1)).to.deep.equal([7, 7, 7])
    expect(after(12, 8, 2, 2)).to.deep.equal([6, 6, 6, 6])
  })

  it('is nothing where one more would only turn the order round', () => {
    for (const even of [[6, 5], [1, 0], [4, 4, 3], [0, 0], [1]]) expect(after(...even)).to.deep.equal(even)
  })

  it(`is nothing within ${allowedExcess * 100} % of the mean`, () => {
    expect(after(525, 475)).to.deep.equal([525, 475])
    expect(after(526, 474)).to.deep.equal([500, 500])
  })

  it('has a bound, and the rest follows another time', () => {
    expect(giftsOf(0, loads(1000, 0))).to.deep.equal([{ to: 1, count: maxGifts }])
  })

  it('leaves nobody above the mean by more than the share, whatever the spread was', () => {
    let seed = 7
    const next = (most: number): number => (seed = (seed * 48_271) % 2_147_483_647) % most
    for (let round = 0; round < 500; round++) {
      const before = Array.from({ length: 2 + next(7) }, () => next(100))
      const result = after(...before)
      const sum = before.reduce((total, count) => total + count, 0)
      const mean = sum / before.length
      expect(result.reduce((total, count) => total + count, 0)).to.equal(sum)
      expect(Math.max(...result), `${before.join()} to ${result.join()}`).to.be.at.most(
        Math.max(Math.floor(mean * (1 + allowedExcess)), Math.ceil(mean)),
      )
    }
  })

  it('is nothing for a worker that is not among those that are compared', () => {
    expect(giftsOf(5, loads(10, 0))).to.deep.equal([])
  })
})
