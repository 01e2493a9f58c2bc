import { expect } from 'chai'

import { DecisionCounts } from '../../../../../../agent/worker/filters/authorization/decision-counts.ts'

describe('the decisions of a worker that is replaced', () => {
  it('go to the successor once, though they are counted from zero again before they are sent', () => {
    const old = new DecisionCounts()
    const next = new DecisionCounts()
    const move = (): void => {
      const state = old.exportState()
      old.reset()
      next.importState(JSON.parse(JSON.stringify(state)))
    }
    old.none.denied += 2
    old.tally('public/orders').wouldAllow++
    move()
    old.none.denied++
    move()
    expect(next.samples()).to.deep.equal([
      { labels: ['none', 'denied'], value: 3 },
      { labels: ['public/orders', 'would-allow'], value: 1 },
    ])
    expect(old.samples()).to.deep.equal([])
  })
})
