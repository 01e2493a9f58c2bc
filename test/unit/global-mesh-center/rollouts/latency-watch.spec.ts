import { expect } from 'chai'
import { LatencyWatch } from '../../../../global-mesh-center/rollouts/latency-watch.ts'
import type { Signals } from '../../../../global-mesh-center/rollouts/signals.ts'

const limits = { failures: 0.02, latency: 3, minRequests: 100 }
const bucketsMs = [10, 20, 50, 100, 500]

/** Of which `slow` lasted 100 to 500 ms. */
function signals(requests: number, slow = 0): Signals {
  return { hosts: 1, requests, failures: 0, counts: [requests - slow, 0, 0, 0, slow], bucketsMs }
}

/** What each second says: requests and slow ones that were added in it, against a rest of 1,000 quick ones. */
function told(seconds: readonly (readonly [requests: number, slow: number])[], rest = signals(1000)): string[] {
  const watch = new LatencyWatch(5000, 0)
  let [requests, slow] = [0, 0]
  return seconds.flatMap(([more, moreSlow], at) => {
    requests += more
    slow += moreSlow
    return watch.look(signals(requests, slow), rest, limits, (at + 1) * 1000) ?? []
  })
}

describe('the latency of a roll-out', () => {
  it('is bad when p99 is three times the usual in three parts of the time', () => {
    expect(
      told([
        [200, 5],
        [200, 0],
        [200, 5],
        [200, 5],
      ]),
    ).to.deep.equal(['p99 is 500 ms, elsewhere 10 ms, for the 3rd time; 3 times that is allowed'])
  })

  it('is not bad for one stall or two, however many requests waited in them', () => {
    expect(
      told([
        [200, 60],
        [200, 0],
        [200, 60],
        [200, 0],
        [200, 1],
      ]),
    ).to.deep.equal([])
  })

  it('is not judged by few requests, of the share or of the rest', () => {
    const slow = Array.from({ length: 20 }, () => [200, 20] as const)
    expect(told(slow, signals(299))).to.deep.equal([])
    expect(
      told([
        [99, 99],
        [0, 0],
        [0, 0],
        [0, 0],
        [0, 0],
      ]),
    ).to.deep.equal([])
  })

  it('lengthens its parts until they have enough requests', () => {
    const few = Array.from({ length: 11 }, () => [25, 2] as const)
    expect(told(few)).to.deep.equal([])
    expect(told([...few, [25, 2]])).to.have.length(1)
  })

  it('is not bad for a difference of some milliseconds, nor where the rest is as slow', () => {
    const slow = Array.from({ length: 5 }, () => [200, 20] as const)
    expect(told(slow, signals(1000, 50))).to.deep.equal([])
    const watch = new LatencyWatch(5000, 0)
    const of = (...counts: number[]): Signals => ({
      ...signals(0),
      requests: 200 * counts.length,
      counts,
      bucketsMs: [2, 15],
    })
    for (let at = 1; at < 6; at++)
      expect(
        watch.look({ ...of(0, 200 * at), requests: 200 * at }, { ...of(1000, 0), requests: 1000 }, limits, at * 1000),
      ).to.equal(undefined)
  })
})
