import { expect } from 'chai'
import { LogPause } from '../../../contracts/log-pause.ts'

describe('the pause between two lines of the log', () => {
  it('lets the first line through at once, and the next one ten seconds later', () => {
    const pause = new LogPause()
    const lines = [5, 6, 10_004, 10_005, 10_006, 20_004, 20_005].filter((now) => pause.allows(now))
    expect(lines).to.deep.equal([5, 10_005, 20_005])
  })

  it('begins with a line that was written, not with one that was held back', () => {
    const pause = new LogPause(100)
    expect([0, 99, 100].map((now) => pause.allows(now))).to.deep.equal([true, false, true])
  })

  it('is one for each kind', () => {
    const pause = new LogPause()
    expect([pause.allows(0, 'one'), pause.allows(0, 'other'), pause.allows(1, 'one')]).to.deep.equal([
      true,
      true,
      false,
    ])
  })

  it('ends when the clock is set back by more than the pause, and does not wait until the time comes again', () => {
    const pause = new LogPause()
    expect([1e9, 0, 1].map((now) => pause.allows(now))).to.deep.equal([true, true, false])
  })

  it('forgets all kinds with the one that is too many, and keeps no more', () => {
    const pause = new LogPause()
    for (let kind = 0; kind < 1000; kind++) pause.allows(0, String(kind))
    expect(pause.allows(1, '999')).to.equal(false)
    expect(pause.allows(1, 'one too many')).to.equal(true)
    expect(pause.allows(1, '999')).to.equal(true)
  })
})
