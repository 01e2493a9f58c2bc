import { expect } from 'chai'
import { SuccessorWatch } from '../../../../../agent/control/handoff/successor-watch.ts'
import type { GenerationState } from '../../../../../contracts/handoff.ts'

const of = (generation: number, phase: GenerationState['phase']): GenerationState => ({
  generation,
  phase,
  release: 'hostmesh',
  startedAt: 0,
  children: [],
  waits: [],
})

describe('a generation that comes after this one', () => {
  it('is seen once when it starts, and so is the next', () => {
    let begun = 0
    const watch = new SuccessorWatch(4, () => void begun++)
    const counts = [
      [of(4, 'starting')],
      [of(3, 'draining'), of(4, 'serving')],
      [of(4, 'serving'), of(5, 'starting')],
      [of(4, 'serving'), of(5, 'starting')],
      [of(4, 'serving'), of(5, 'proving')],
      [of(4, 'serving')],
      [of(4, 'serving'), of(6, 'starting')],
    ].map((generations) => {
      watch.look({ generations })
      return begun
    })
    expect(counts).to.deep.equal([0, 0, 1, 1, 1, 1, 2])
  })
})
