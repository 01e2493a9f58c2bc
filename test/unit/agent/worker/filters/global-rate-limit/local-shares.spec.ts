import { expect } from 'chai'
import { LocalShares } from '../../../../../../agent/worker/filters/global-rate-limit/local-shares.ts'

const hourMs = 3_600_000
const limit = { requestsPerUnit: 100, unit: 'hour', name: '' } as const

describe('the local share of a limit', () => {
  const learned = (remaining: number, now: number): LocalShares => {
    const shares = new LocalShares()
    shares.learn('user=ann', { code: 'ok', limit, remaining, resetMs: hourMs / 2 }, now)
    return shares
  }
  /** Another process has another clock. */
  const nextOf = (shares: LocalShares, now: number, its: number): LocalShares => {
    const next = new LocalShares()
    next.importState(JSON.parse(JSON.stringify(shares.exportState(now))), its)
    return next
  }
  function passed(shares: LocalShares, now: number): number {
    let count = 0
    while (shares.take('user=ann', 1, 1, now)!.waitMs === 0) count++
    return count
  }

  it('that is used up stays used up over hot restarts, and fills from there', () => {
    const shares = learned(40, 1000)
    expect(passed(shares, 1000)).to.equal(40)
    const next = nextOf(nextOf(shares, 1000, 77), 77, 500_000)
    expect(passed(next, 500_000)).to.equal(0)
    expect(passed(next, 500_000 + hourMs / 10)).to.equal(10)
  })

  it('that was not needed yet begins behind a hot restart with what the service said was left, for its time', () => {
    const shares = learned(40, 1000)
    expect(passed(nextOf(shares, 1000 + hourMs / 4, 5000), 5000)).to.equal(40)
    expect(passed(nextOf(shares, 1000, 5000), 5000 + hourMs / 2)).to.equal(100)
  })

  it('is what the service says, whatever was handed over', () => {
    const shares = learned(0, 1000)
    expect(passed(shares, 1000)).to.equal(0)
    const next = nextOf(shares, 1000, 5000)
    next.learn('user=ann', { code: 'ok', limit, remaining: 7, resetMs: hourMs }, 5000)
    expect(passed(next, 5000)).to.equal(7)
  })

  it('of an earlier release, which says no time and no tokens, begins full', () => {
    const shares = new LocalShares()
    shares.importState({ 'user=ann': [100, 'hour', 3] }, 1000)
    expect(passed(shares, 1000)).to.equal(100)
  })

  it('takes no nonsense for what is left', () => {
    const shares = new LocalShares()
    shares.importState({ 'user=ann': [100, 'hour', 0, 1e300, 'all'], other: [1, 'hour', 0, -1, {}] }, 1000)
    expect(passed(shares, 1000)).to.equal(0)
    expect(passed(shares, 1000 + hourMs)).to.equal(100)
    expect(shares.take('other', 1, 1, 1000)).to.deep.equal({ waitMs: 0 })
  })
})
