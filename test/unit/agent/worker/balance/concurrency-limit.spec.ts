import { expect } from 'chai'
import { ConcurrencyLimit, initialLimit } from '../../../../../agent/worker/balance/concurrency-limit.ts'
import { Outcome } from '../../../../../agent/worker/balance/types.ts'
import type { Cluster } from '../../../../../agent/worker/balance/types.ts'
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

interface Load {
  readonly latencyMs: number
  readonly forMs: number
  readonly from: number
  /** Callers that each ask again when they are answered. */
  readonly most?: number
}

/** A service that answers all that is let to it at once, and how many that were. */
function serve(limited: Cluster, { latencyMs, forMs, from, most = 50 }: Load): { now: number; admitted: number } {
  const state = pickState(limited)
  let [now, admitted] = [from, 0]
  while (now < from + forMs) {
    let taken = 0
    for (let nth = 0; nth < most; nth++) if (limited.admit(now) === null) taken++
    now += latencyMs
    for (let nth = 0; nth < taken; nth++) {
      attempt(limited, state, Outcome.ok, { status: 200, latencyMs, now })
      limited.release()
    }
    admitted += taken
  }
  return { now, admitted }
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
    for (let nth = 0; nth < 400; nth++) {
      attempt(free, state, Outcome.ok, { status: 200, latencyMs: 10, now: 2000 + nth })
    }
    expect(free.numbers.concurrencyLimit).to.be.above(initialLimit)
  })

  it('counts no WebSockets and no event streams, whose head has come, and no raw connections', () => {
    const limited = cluster({ policy: { concurrency } })
    for (let nth = 0; nth < 40; nth++) {
      expect(limited.admit(0)).to.equal(null)
      limited.answered()
    }
    for (let nth = 0; nth < 40; nth++) {
      expect(limited.admitConnection(0, { callerKey: 'batch', share: '' })).to.equal(null)
    }
    expect(limited.numbers).to.include({ activeRequests: 80, unansweredRequests: 0 })
    let now = serve(limited, { latencyMs: 10, forMs: 2000, from: 0 }).now
    now = serve(limited, { latencyMs: 40, forMs: 300, from: now }).now
    expect(limited.numbers.concurrencyLimit, 'below what is open').to.be.below(40)
    expect(serve(limited, { latencyMs: 10, forMs: 500, from: now }).admitted).to.be.above(100)
    for (let nth = 0; nth < 80; nth++) limited.release('', true)
    expect(limited.numbers).to.include({ activeRequests: 0, unansweredRequests: 0 })
  })

  it('hears nothing of how fast raw connections come about', () => {
    const limited = cluster({ policy: { concurrency } })
    const state = pickState(limited)
    for (let nth = 0; nth < 100; nth++) limited.admitConnection(0, { callerKey: 'batch', share: '' })
    for (let nth = 0; nth < 400; nth++) attempt(limited, state, Outcome.ok, { latencyMs: nth, now: nth })
    expect(limited.numbers.concurrencyLimit).to.equal(initialLimit)
  })

  it('is found again within a second where long polls hold more than it, and the rest is answered at once', () => {
    const limited = cluster({ policy: { concurrency: { ...concurrency, maxLimit: 500 } } })
    let now = serve(limited, { latencyMs: 10, forMs: 2000, from: 0 }).now
    const before = limited.numbers.concurrencyLimit
    for (let nth = 0; nth < before; nth++) expect(limited.admit(now)).to.equal(null)
    expect(limited.admit(now)).to.include({ code: 'E_BALANCE_CONCURRENCY' })
    now = serve(limited, { latencyMs: 10, forMs: 1000, from: now, most: 5 }).now
    expect(limited.numbers.concurrencyLimit).to.be.above(before)
    expect(serve(limited, { latencyMs: 10, forMs: 100, from: now, most: 5 }).admitted).to.equal(50)
  })

  it('lets one more to a service that answers nothing, ever more rarely, and none beyond its highest', () => {
    const limit = new ConcurrencyLimit({ ...concurrency, maxLimit: initialLimit + 5 })
    const at: number[] = []
    for (let now = 0, unanswered = initialLimit; now < 60_000; now += 100) {
      if (!limit.takes(unanswered, now)) continue
      unanswered++
      at.push(now)
    }
    expect(at).to.deep.equal([500, 1500, 3500, 7500, 12_500])
    limit.sample(10, initialLimit, 60_000)
    expect(limit.takes(initialLimit + 5, 70_000)).to.equal(false)
  })

  it('waits longer for a sign of a service that is slow by itself', () => {
    const limit = new ConcurrencyLimit(concurrency)
    for (let nth = 0; nth < 20; nth++) limit.sample(2000, 20, nth * 20)
    const { limit: most } = limit
    expect([0, 3999, 4000].map((now) => limit.takes(most, now))).to.deep.equal([false, false, true])
  })
})
