import { expect } from 'chai'
import { ratioOfRounds } from '../../../bench/windows.ts'
import type { Figure, Window } from '../../../bench/windows.ts'

function figure(contender: string, costs: readonly number[], dropped: readonly number[] = []): Figure {
  const windows = costs.map((cost, round): Window => ({
    contender,
    requests: 1000,
    errors: 0,
    requestsPerSecond: 1000,
    cpuMicroseconds: cost * 1000,
    stolenShare: 0,
    foreignShare: 0,
    isDropped: dropped.includes(round),
  }))
  return { contender, median: NaN, least: NaN, requestsPerSecond: 1000, kept: windows.length, windows }
}

describe('windows of a benchmark', () => {
  it('are compared within their round, so that the mood of the machine says nothing', () => {
    // the medians are 10 and 22
    expect(ratioOfRounds(figure('b', [11, 22, 33]), figure('a', [10, 20, 10]))).to.be.closeTo(1.1, 1e-9)
  })

  it('that were dropped take the other one of their round with them', () => {
    const one = figure('b', [11, 22, 90], [2])
    expect(ratioOfRounds(one, figure('a', [10, 5, 10], [1]))).to.be.closeTo(1.1, 1e-9)
    expect(ratioOfRounds(figure('b', [1], [0]), figure('a', [1]))).to.be.NaN
  })
})
