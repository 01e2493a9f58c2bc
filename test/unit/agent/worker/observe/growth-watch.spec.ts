import { expect } from 'chai'
import { GrowthWatch } from '../../../../../agent/worker/observe/growth-watch.ts'

const mebi = 1 << 20

describe('a worker that grew', () => {
  /** What it says at each look, in MiB, and how much giving back brings. */
  function told(residents: readonly number[], givenBack = 0): number[] {
    const found: number[] = []
    let resident = 0
    const watch = new GrowthWatch(
      () => resident * mebi,
      () => {
        found.push(resident)
        resident -= givenBack
      },
    )
    for (const one of residents) {
      resident = one
      watch.look()
    }
    return found
  }

  it('is noticed when it grows no more', () => {
    expect(told([40, 40, 55, 70, 70, 50, 50], 25)).to.deep.equal([70])
  })

  it('is not noticed for what it needs from its beginning on, or for little', () => {
    expect(told([60, 60, 60, 63, 66, 66.5, 66.5])).to.deep.equal([])
  })

  it('is noticed once where nothing could be given back', () => {
    expect(told([40, 70, 70, 70, 70, 70])).to.deep.equal([70])
  })

  it('is noticed again when it grows again', () => {
    expect(told([40, 70, 70, 70, 45, 60, 60, 60])).to.deep.equal([70, 60])
  })
})
