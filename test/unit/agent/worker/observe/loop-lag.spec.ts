import { expect } from 'chai'
import { LoopLag } from '../../../../../agent/worker/observe/loop-lag.ts'

describe('the lag of the event loop', () => {
  /** As Node's own: ns. */
  const histogram = { max: 0, reset: () => (histogram.max = 0), enable: () => true, disable: () => true }
  const stalled = (ms: number): void => void (histogram.max = Math.max(histogram.max, ms * 1e6))

  it('says one stall to everybody who reads, for 30 s at least, and forgets it with the second window', () => {
    const lag = new LoopLag({
      ...histogram,
      get max() {
        return histogram.max
      },
    })
    stalled(400)
    expect([lag.maxMs, lag.maxMs]).to.deep.equal([400, 400])
    lag.turn()
    stalled(20)
    expect([lag.maxMs, lag.maxMs]).to.deep.equal([400, 400])
    lag.turn()
    expect([lag.maxMs, lag.maxMs]).to.deep.equal([20, 20])
    lag.turn()
    expect(lag.maxMs).to.equal(0)
  })

  it('is 0 where nothing was sampled', () => {
    expect(new LoopLag({ ...histogram, max: Number.NaN }).maxMs).to.equal(0)
  })
})
