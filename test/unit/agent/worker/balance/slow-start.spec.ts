import { expect } from 'chai'
import { Outcome } from '../../../../../agent/worker/balance/types.ts'
import type { LoadBalancerSpec } from '../../../../../contracts/policy-spec.ts'
import {
  attempt,
  cluster,
  countPicks,
  endpoint,
  endpoints,
  endpointSet,
  outlierOf,
  policyOf,
  stateOf,
} from '../../../../support/balance.ts'

const balancers: readonly LoadBalancerSpec[] = [
  { kind: 'round-robin' },
  { kind: 'random' },
  { kind: 'least-request', choices: 2 },
]

describe('slow start', () => {
  for (const loadBalancer of balancers) {
    it(`gives a new endpoint a growing share with ${loadBalancer.kind}`, () => {
      const policy = { loadBalancer, warmupMs: 10_000 }
      const warming = cluster({ endpoints: endpoints(3), policy })
      warming.update(endpointSet(endpoints(4)), policyOf(policy), 1000)
      const shareAt = (now: number): number => (countPicks(warming, 20_000, { now }).get('10.0.0.3') ?? 0) / 20_000
      expect(shareAt(1000)).to.be.closeTo(0.1 / 3.1, 0.015)
      expect(shareAt(6000)).to.be.closeTo(0.5 / 3.5, 0.02)
      expect(shareAt(11_000)).to.be.closeTo(1 / 4, 0.02)
    })
  }

  it('does not warm up the first endpoints of a destination', () => {
    const first = cluster({
      endpoints: endpoints(4),
      policy: { warmupMs: 10_000, loadBalancer: { kind: 'round-robin' } },
    })
    for (const count of countPicks(first, 400).values()) expect(count).to.equal(100)
  })

  it('warms up again what comes back from an unhealthy report', () => {
    const policy = { loadBalancer: { kind: 'random' }, warmupMs: 10_000 } as const
    const two = [endpoint('10.0.0.1'), endpoint('10.0.0.2')]
    const back = cluster({ endpoints: [two[0]!, { ...two[1]!, healthy: false }], policy })
    back.update(endpointSet(two), policyOf(policy), 5000)
    expect((countPicks(back, 20_000, { now: 5000 }).get('10.0.0.2') ?? 0) / 20_000).to.be.closeTo(0.1 / 1.1, 0.015)
  })

  it('warms up again what comes back from ejection', () => {
    const policy = {
      loadBalancer: { kind: 'random' },
      warmupMs: 10_000,
      outlier: outlierOf({ consecutive5xx: 1, baseEjectionMs: 1000, maxEjectionMs: 1000 }),
    } as const
    const back = cluster({ endpoints: endpoints(2), policy })
    attempt(back, stateOf(back, '10.0.0.0'), Outcome.serverError, { status: 500 })
    expect(countPicks(back, 10, { now: 999 }).get('10.0.0.0')).to.equal(undefined)
    expect((countPicks(back, 20_000, { now: 1000 }).get('10.0.0.0') ?? 0) / 20_000).to.be.closeTo(0.1 / 1.1, 0.015)
  })
})
