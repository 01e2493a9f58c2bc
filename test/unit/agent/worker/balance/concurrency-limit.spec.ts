import { expect } from 'chai'
import { ConcurrencyLimit, initialLimit } from '../../../../../agent/worker/balance/concurrency-limit.ts'
import { Outcome } from '../../../../../agent/worker/balance/types.ts'
import { attempt, cluster, concurrency, pickState } from '../../../../support/balance.ts'

/** A service that answers `capacity` at a time in 10 ms each, and lets the rest wait; always as many as the limit. */
function run(limit: ConcurrencyLimit, capacity: number, windows: number, from = 0): number {
  let now = from
  for (let window = 0; window < windows; window++) {
    for (let nth = 0; nth < 50; nth++) {
      const active = limit.limit
      limit.sample(10 * Math.max(1, active / capacity), active, now + nth)
    }
    now += concurrency.updateIntervalMs + 1
  }
  return now
}

describe('an adaptive limit on requests', () => {
  it('comes near what the service does at a time, from above and from below', () => {
    for (const capacity of [10, 200]) {
      const limit = new ConcurrencyLimit(concurrency)
      // the first window is before any queue
      for (let nth = 0; nth < 20; nth++) limit.sample(10, 5, nth)
      run(limit, capacity, 40, 200)
      expect(limit.limit, `capacity ${capacity}`).to.be.within(capacity, capacity * 2)
    }
  })

  it('follows a service that became slower and one that is well again within 2 s', () => {
    const limit = new ConcurrencyLimit(concurrency)
    let now = run(limit, 100, 30)
    const before = limit.limit
    now = run(limit, 20, 20, now)
    expect(limit.limit).to.be.below(before / 2)
    run(limit, 100, 20, now)
    expect(limit.limit).to.be.above(80)
  })

  it('stays where it is while nobody comes near it', () => {
    const limit = new ConcurrencyLimit(concurrency)
    for (let window = 0; window < 50; window++) {
      for (let nth = 0; nth < 20; nth++) limit.sample(10, 2, window * 200 + nth)
    }
    expect(limit.limit).to.equal(initialLimit)
  })

  it('says nothing before a window has enough of them, and keeps to its bounds', () => {
    const limit = new ConcurrencyLimit({ ...concurrency, maxLimit: 60, minRttIntervalMs: 1_000_000 })
    for (let nth = 0; nth < 9; nth++) limit.sample(10, 50, nth * 1000)
    expect(limit.limit).to.equal(initialLimit)
    run(limit, 10_000, 30, 20_000)
    expect(limit.limit).to.equal(60)
    for (let window = 0; window < 30; window++) {
      for (let nth = 0; nth < 20; nth++) limit.sample(1000, 50, 110_000 + window * 200 + nth)
    }
    expect(limit.limit).to.equal(3)
  })

  it('halves itself for one window to find the lowest latency anew', () => {
    const limit = new ConcurrencyLimit({ ...concurrency, minRttIntervalMs: 1000 })
    const limits: number[] = []
    for (let window = 0, now = 0; window < 30; window++) {
      now = run(limit, 50, 1, now)
      limits.push(limit.limit)
    }
    const halved = limits.flatMap((one, at) => (one <= (limits[at - 1] ?? 0) * 0.6 ? [at] : []))
    expect(halved.length, limits.join(' ')).to.be.within(2, 3)
    for (const at of halved) if (at + 1 < limits.length) expect(limits[at + 1]).to.be.above(limits[at]! * 1.3)
  })

  it('is what a destination refuses at, with a code of its own; failures tell it nothing', () => {
    const limited = cluster({ policy: { concurrency: { ...concurrency, minLimit: 2, maxLimit: 2 } } })
    const state = pickState(limited)
    expect([limited.admit(0), limited.admit(0)]).to.deep.equal([null, null])
    expect(limited.admit(0)).to.include({ code: 'E_BALANCE_CONCURRENCY', flag: 'UO' })
    expect(limited.numbers).to.include({ concurrencyRefusals: 1, concurrencyLimit: 2 })
    limited.release()
    expect(limited.admit(0)).to.equal(null)
    const free = cluster({ policy: { concurrency } })
    for (let nth = 0; nth < 100; nth++) attempt(free, state, Outcome.serverError, { latencyMs: 1000, now: nth * 10 })
    expect(free.numbers.concurrencyLimit).to.equal(initialLimit)
    for (let nth = 0; nth < 100; nth++) free.admit(0)
    for (let nth = 0; nth < 400; nth++) attempt(free, state, Outcome.ok, { latencyMs: 10, now: 2000 + nth })
    expect(free.numbers.concurrencyLimit).to.be.above(initialLimit)
  })
})
