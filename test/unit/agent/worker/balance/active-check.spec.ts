import { expect } from 'chai'
import type { Cluster } from '../../../../../agent/worker/balance/types.ts'
import { cluster, countPicks, endpoints, endpointSet, policyOf } from '../../../../support/balance.ts'

const activeCheck = {
  kind: 'tcp',
  path: '',
  intervalMs: 1000,
  timeoutMs: 500,
  healthyThreshold: 2,
  unhealthyThreshold: 3,
} as const
const policy = { activeCheck, panicShare: 0, loadBalancer: { kind: 'random' } } as const

function check(checked: Cluster, ...results: boolean[]): void {
  for (const isGood of results) checked.activeCheckResult(checked.states[0]!, isGood, 0)
}
const isIn = (checked: Cluster): boolean => countPicks(checked, 1000).has('10.0.0.0')

describe('active checks', () => {
  it('take an endpoint out at the very first answer if that is bad', () => {
    const checked = cluster({ endpoints: endpoints(3), policy })
    check(checked, false)
    expect(isIn(checked)).to.equal(false)
    expect(checked.dump(0).endpoints[0]!.state).to.equal('failed active check')
  })

  it('take a known good one out only after the given number of bad answers in a row', () => {
    const checked = cluster({ endpoints: endpoints(3), policy })
    check(checked, true, false, false, true, false, false)
    expect(isIn(checked)).to.equal(true)
    check(checked, false)
    expect(isIn(checked)).to.equal(false)
  })

  it('take it back after the given number of good answers in a row', () => {
    const checked = cluster({ endpoints: endpoints(3), policy })
    check(checked, false, true, false, true)
    expect(isIn(checked)).to.equal(false)
    check(checked, true)
    expect(isIn(checked)).to.equal(true)
  })

  it('are forgotten when the policy no longer asks for them', () => {
    const checked = cluster({ endpoints: endpoints(3), policy })
    check(checked, false)
    checked.update(endpointSet(endpoints(3)), policyOf({ panicShare: 0 }), 0)
    expect(isIn(checked)).to.equal(true)
    check(checked, false)
    expect(isIn(checked)).to.equal(true)
  })

  it('of an endpoint that left change nothing', () => {
    const checked = cluster({ endpoints: endpoints(3), policy })
    const gone = checked.states[0]!
    checked.update(endpointSet(endpoints(3).slice(1)), policyOf(policy), 0)
    checked.activeCheckResult(gone, false, 0)
    expect(checked.numbers.usableEndpoints).to.equal(2)
  })
})
