import { expect } from 'chai'
import { Backoff } from '../../../../watchdog/supervise/backoff.ts'

const options = { firstPauseMs: 50, lastPauseMs: 10_000, maxDeaths: 5, windowMs: 60_000, probationMs: 0 }

describe('the pause before a restart', () => {
  it('is short at first and doubles with each death in the window', () => {
    const backoff = new Backoff(options)
    expect([0, 1, 2, 3].map((at) => backoff.died(at).pauseMs)).to.deep.equal([50, 100, 200, 400])
  })

  it('starts again after a whole quiet window', () => {
    const backoff = new Backoff(options)
    backoff.died(0)
    backoff.died(1000)
    expect(backoff.died(61_001).pauseMs).to.equal(50)
  })

  it('is the longest one in a crash loop, which is more deaths than allowed', () => {
    const backoff = new Backoff(options)
    for (let death = 0; death < 5; death++) expect(backoff.died(death).isCrashLoop).to.equal(false)
    expect(backoff.died(5)).to.deep.equal({ pauseMs: 10_000, isCrashLoop: true })
  })

  it('counts a hang three times', () => {
    const backoff = new Backoff(options)
    expect(backoff.died(0, 3).isCrashLoop).to.equal(false)
    expect(backoff.died(1, 3).isCrashLoop).to.equal(true)
  })
})
