import { expect } from 'chai'
import { fineWallClock } from '../../../../../../agent/worker/observe/telemetry/fine-wall-clock.ts'

describe('wall time of spans', () => {
  it('is exact to a fraction of a millisecond after some looks, and follows a clock that is set', () => {
    let monotonic = 0
    let origin = 1_700_000_000_000.7
    const clock = fineWallClock(
      () => Math.floor(origin + monotonic),
      () => monotonic,
    )
    const furthest = (rounds: number): number => {
      let most = 0
      for (let round = 0; round < rounds; round++) {
        monotonic += 0.37
        most = Math.max(most, Math.abs(clock(monotonic) - (origin + monotonic)))
      }
      return most
    }
    expect(furthest(100)).to.be.below(1)
    expect(furthest(10_000)).to.be.below(0.05)
    origin += 3_600_000
    expect(furthest(100)).to.be.below(1)
    expect(furthest(10_000)).to.be.below(0.05)
    origin -= 7_200_000
    furthest(100)
    expect(furthest(10_000)).to.be.below(0.05)
  })
})
