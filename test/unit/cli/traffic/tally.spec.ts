import { expect } from 'chai'
import { type CallOutcome, Tally } from '../../../../cli/traffic/tally.ts'

const good: CallOutcome = { isGood: true, tier: 'agent', version: 'v1', latencyMs: 2, reason: '' }

describe('the tally of calls', () => {
  it('counts what happened since a mark, by tier, version and reason', () => {
    let now = 1000
    const tally = new Tally(() => now)
    tally.add(good)
    now = 2000
    tally.add({ ...good, tier: 'center', version: 'v2' })
    tally.add({ ...good, isGood: false, tier: '', reason: 'ECONNREFUSED' })
    now = 4000
    const view = tally.since(2000)
    expect(view.calls).to.equal(2)
    expect(view.errors).to.equal(1)
    expect(view.perSecond).to.equal(1)
    expect(view.tiers).to.deep.equal({ center: 1 })
    expect(view.reasons).to.deep.equal({ ECONNREFUSED: 1 })
  })

  it('answers with zeroes when nothing was called', () => {
    expect(new Tally(() => 5).since(0)).to.include({ calls: 0, errors: 0, p99Ms: 0 })
  })
})
