import { expect } from 'chai'
import { Outcome } from '../../../../../agent/worker/balance/types.ts'
import type { Cluster } from '../../../../../agent/worker/balance/types.ts'
import { cluster, concurrency, endpoints, pickState } from '../../../../support/balance.ts'
import { seededRandom } from '../../../../support/seeded-random.ts'

/** 20 at a time, 20 ms each with some spread: 1,000 a second at its peak. */
const [servers, serviceMs] = [20, 20]
const peakPerSecond = (servers * 1000) / serviceMs

interface Outcomes {
  /** When it was answered, ms, and what it took. */
  readonly answered: { readonly at: number; readonly ms: number }[]
  readonly refusedAt: number[]
}

/**
 * An application that works on so many at a time and lets the rest wait without a bound, behind `limited`; arrivals at
 * random with `perSecond(now)` for `totalMs`.
 */
function simulate(limited: Cluster, perSecond: (now: number) => number, totalMs: number): Outcomes {
  const random = seededRandom(7)
  const outcomes: Outcomes = { answered: [], refusedAt: [] }
  const state = pickState(limited)
  const waiting: number[] = []
  const ends: { readonly at: number; readonly since: number }[] = []
  const spread = (): number => serviceMs * (0.5 + random())
  const work = (since: number, now: number): void => {
    ends.push({ at: now + spread(), since })
    ends.sort((a, b) => a.at - b.at)
  }
  let arrival = 0
  for (;;) {
    const end = ends[0]
    if (end !== undefined && end.at <= arrival) {
      ends.shift()
      const ms = end.at - end.since
      limited.endAttempt(state, Outcome.ok, 200, ms, end.at)
      limited.release()
      outcomes.answered.push({ at: end.at, ms })
      const next = waiting.shift()
      if (next !== undefined) work(next, end.at)
      continue
    }
    if (arrival >= totalMs) return outcomes
    if (limited.admit(arrival) === null) {
      limited.beginAttempt(state, arrival)
      if (ends.length < servers) work(arrival, arrival)
      else waiting.push(arrival)
    } else {
      outcomes.refusedAt.push(arrival)
    }
    arrival += (-Math.log(1 - random()) * 1000) / perSecond(arrival)
  }
}

const p99 = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)]!

describe('a service that gets twice what it can do', () => {
  const isOver = (now: number): boolean => now >= 5000 && now < 20_000
  const load = (now: number): number => (isOver(now) ? 2 : 0.5) * peakPerSecond
  const within = ({ answered }: Outcomes, from: number, to: number) =>
    answered.filter(({ at }) => at >= from && at < to)

  it('answers at least 80 % of its peak in time, and is well again within 5 s', () => {
    const outcomes = simulate(cluster({ endpoints: endpoints(1), policy: { concurrency } }), load, 30_000)
    const normal = p99(within(outcomes, 1000, 5000).map(({ ms }) => ms))
    const during = within(outcomes, 6000, 20_000)
    expect(during.length / 14, 'answers a second').to.be.at.least(0.8 * peakPerSecond)
    expect(p99(during.map(({ ms }) => ms)), `against ${normal} ms`).to.be.at.most(3 * normal)
    expect(outcomes.refusedAt.filter((at) => at >= 25_000)).to.deep.equal([])
    const after = within(outcomes, 25_000, 30_000)
    expect(p99(after.map(({ ms }) => ms))).to.be.at.most(1.2 * normal)
  })

  it('answers everything late without a limit: the limit is what does it', () => {
    const outcomes = simulate(cluster({ endpoints: endpoints(1), policy: {} }), load, 20_000)
    const normal = p99(within(outcomes, 1000, 5000).map(({ ms }) => ms))
    expect(p99(within(outcomes, 6000, 20_000).map(({ ms }) => ms))).to.be.above(10 * normal)
  })
})
