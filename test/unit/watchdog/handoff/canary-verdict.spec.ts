import { expect } from 'chai'
import type { DurationBucket, GoldenSignals, SignalGroup } from '../../../../contracts/canary.ts'
import {
  add,
  isTooFew,
  moreFailures,
  noSignals,
  readSignals,
  seen,
  slower,
} from '../../../../watchdog/handoff/canary-verdict.ts'

const bounds = [0, 1, 5, 10, 25, 50, 100, Infinity]
const whyWorse = (canary: GoldenSignals, others: GoldenSignals, slowerPercent = 50): string | undefined =>
  moreFailures(canary, others, 1) ?? slower(canary, others, slowerPercent)

/** `counts` by upper bound of the bucket, ms; Infinity: above the last bound. */
const signals = (counts: Readonly<Record<number, number>>, failed = 0): GoldenSignals => {
  const durations = Object.entries(counts).map(([bound, count]): DurationBucket => {
    const fromMs = bounds[bounds.indexOf(Number(bound)) - 1]!
    return [fromMs, bound === 'Infinity' ? fromMs : Number(bound), count]
  })
  return { requests: durations.reduce((sum, [, , count]) => sum + count, 0), failed, durations }
}

describe('the verdict on a canary', () => {
  it('is none with fewer than twenty requests on either side', () => {
    const bad = signals({ 5: 19 }, 19)
    expect(isTooFew(bad, signals({ 5: 1000 }))).to.equal(true)
    expect(whyWorse(bad, signals({ 5: 1000 }))).to.equal(undefined)
    expect(whyWorse(signals({ 5: 1000 }, 1000), signals({ 5: 19 }))).to.equal(undefined)
  })

  it('is against one that fails more than is allowed and more than by chance', () => {
    const others = signals({ 5: 2000 }, 10)
    expect(whyWorse(signals({ 5: 500 }, 50), others)).to.equal(
      '10.0 % of its requests failed (50 of 500), 0.5 % with the others; allowed 1 % more',
    )
    // 2.0 % of 100: two failures, which the others have as well
    expect(whyWorse(signals({ 5: 100 }, 2), others)).to.equal(undefined)
    // 1.4 %, within what is allowed
    expect(whyWorse(signals({ 5: 10_000 }, 140), others)).to.equal(undefined)
  })

  it('is not against one that fails as the others do', () => {
    expect(whyWorse(signals({ 5: 500 }, 250), signals({ 5: 500 }, 245))).to.equal(undefined)
  })

  it('is not against one that has more of the calls that fail with everybody', () => {
    const group = (at: number, requests: number, failed = 0, bound = 5): SignalGroup => [
      at,
      signals({ [bound]: requests }, failed),
    ]
    const of = (...groups: SignalGroup[]): GoldenSignals =>
      groups.reduce((sum, [at, part]) => add(sum, { ...part, groups: [[at, part]] }), noSignals)
    // what a lost caller asks for fails always, and the canary has more of its connections
    const others = of(group(1, 1337), group(2, 1101, 1101))
    expect(whyWorse(of(group(1, 47), group(2, 88, 88)), others)).to.equal(undefined)
    expect(whyWorse(of(group(1, 47, 5), group(2, 88, 88)), others)).to.match(/^68\.9 % .* 65\.2 % with the others/)
    // what it alone is asked for is compared with all
    expect(whyWorse(of(group(1, 47), group(3, 40, 40)), others)).to.match(/^46\.0 % .* 20\.8 % with the others/)
    const slow = of(group(1, 1337), group(2, 1101, 0, 100))
    expect(whyWorse(of(group(1, 20), group(2, 180, 0, 100)), slow)).to.equal(undefined)
    expect(whyWorse(of(group(1, 100, 0, 50), group(2, 10, 0, 100)), slow)).to.match(/^its median is/)
    // of a release that tells no groups
    const { groups: _, ...all } = of(group(1, 47), group(2, 88, 88))
    expect(whyWorse(all, others)).to.match(/^65\.2 % .* 45\.2 % with the others/)
  })

  it('is against one whose median or 95th percentile is above what is allowed', () => {
    const others = signals({ 5: 500, 10: 500 })
    expect(whyWorse(signals({ 50: 300 }), others)).to.match(/^its median is 37.5 ms, 5 ms with the others/)
    const tail = signals({ 5: 250, 10: 200, 100: 50 })
    expect(whyWorse(tail, others)).to.match(/^its 95th percentile is .* ms, 9.5 ms with the others/)
  })

  it('is not against one that is slower by no more than is allowed and five milliseconds', () => {
    const others = signals({ 5: 1000 })
    expect(whyWorse(signals({ 5: 500, 10: 500 }), others)).to.equal(undefined)
    expect(whyWorse(signals({ 5: 100, 10: 900 }), others, 100)).to.equal(undefined)
  })

  it('reads requests beyond the last bound as the slowest', () => {
    const others = signals({ 5: 1000 })
    expect(whyWorse(signals({ 5: 20, [Infinity]: 80 }), others)).to.match(/^its median/)
  })

  it('counts what came since a word, also where buckets are new', () => {
    const since = add(signals({ 5: 30, 10: 2 }, 3), signals({ 5: 10 }, 1), -1)
    expect(since).to.deep.equal({
      requests: 22,
      failed: 2,
      durations: [
        [1, 5, 20],
        [5, 10, 2],
      ],
    })
    expect(seen(noSignals)).to.deep.equal({ requests: 0, failed: 0, p50Ms: -1, p95Ms: -1 })
  })

  it('takes what is no number from another release as nothing', () => {
    const odd = { requests: 'many', failed: 0, durations: [] } as unknown as GoldenSignals
    expect(readSignals(odd)).to.deep.equal(noSignals)
    const pairs = { requests: 5, failed: 0, durations: [[1, 5, 5], ['x', 1, 1], [1, 2], 7] } as unknown as GoldenSignals
    expect(readSignals(pairs).durations).to.deep.equal([[1, 5, 5]])
    const part = { requests: 5, failed: 0, durations: [] }
    const groups = [[1, part], [128, part], ['x', part], [2], [3, null], [4, { requests: 'many' }], 7]
    expect(readSignals({ ...part, groups } as unknown as GoldenSignals).groups).to.deep.equal([[1, part]])
  })
})
