import { expect } from 'chai'
import { Outcome } from '../../../../../agent/worker/balance/types.ts'
import type { Cluster } from '../../../../../agent/worker/balance/types.ts'
import { attempt, cluster, countPicks, endpoints, outlierOf, pickState, stateOf } from '../../../../support/balance.ts'

const policy = {
  loadBalancer: { kind: 'peak-ewma', decayMs: 10_000 },
  outlier: outlierOf({ consecutive5xx: 5 }),
  breaker: { failureShare: 0.5, minimumRequests: 20, windowMs: 10_000, openMs: 5000 },
  activeCheck: { kind: 'tcp', path: '', intervalMs: 1000, timeoutMs: 500, healthyThreshold: 1, unhealthyThreshold: 2 },
  panicShare: 0,
  warmupMs: 10_000,
} as const

const fresh = (now: number): Cluster => cluster({ endpoints: endpoints(4), policy, now })

/**
 * The old generation's clock stands at 1,000,000, the new one's at 50. Everything goes through JSON as it does between
 * processes.
 */
function carryOver(old: Cluster): Cluster {
  const next = fresh(50)
  next.importState(JSON.parse(JSON.stringify(old.exportState(1_000_000))), 50)
  return next
}

describe('state of a cluster over a hot restart', () => {
  it('keeps an ejection for the rest of its time, and its growth', () => {
    const old = fresh(990_000)
    for (let nth = 0; nth < 5; nth++) {
      attempt(old, stateOf(old, '10.0.0.0'), Outcome.serverError, { status: 500, now: 990_000 })
    }
    old.tick(990_000)
    const next = carryOver(old)
    expect(next.numbers.ejectedEndpoints).to.equal(1)
    expect(countPicks(next, 200, { now: 50 + 19_999 }).has('10.0.0.0')).to.equal(false)
    next.tick(50 + 20_000)
    expect(next.numbers.ejectedEndpoints).to.equal(0)
  })

  it('keeps an open breaker for the rest of its time, without counting it as a new opening', () => {
    const old = fresh(0)
    for (let nth = 0; nth < 20; nth++) {
      attempt(old, old.states[nth % 4]!, Outcome.reset, { now: 998_000 })
    }
    const next = carryOver(old)
    expect(next.admit(50 + 2999)).to.include({ code: 'E_BALANCE_BREAKER_OPEN' })
    expect(next.admit(50 + 3000)).to.equal(null)
    next.tick(50 + 3000)
    expect(next.numbers.breakerOpenings).to.equal(0)
  })

  it('keeps latencies, so that the new process does not try the slow endpoint first', () => {
    const old = fresh(0)
    for (const [index, state] of old.states.entries()) {
      attempt(old, state, Outcome.ok, { latencyMs: index === 2 ? 2 : 400, now: 999_999 })
    }
    const next = carryOver(old)
    const picks = Array.from({ length: 50 }, () => pickState(next, { now: 60 }).address)
    expect(picks.filter((address) => address === '10.0.0.2').length).to.be.above(15)
    expect(next.dump(60).endpoints[1]).to.include({ latencyMs: 400, requests: 1, failures: 0 })
  })

  it('keeps failed checks and counts of errors in a row', () => {
    const old = fresh(0)
    old.activeCheckResult(stateOf(old, '10.0.0.3'), false, 0)
    for (let nth = 0; nth < 4; nth++) {
      attempt(old, stateOf(old, '10.0.0.1'), Outcome.serverError, { status: 500, now: 999_000 })
    }
    const next = carryOver(old)
    expect(next.dump(60).endpoints[3]!.state).to.equal('failed active check')
    attempt(next, stateOf(next, '10.0.0.1'), Outcome.serverError, { status: 500, now: 60 })
    next.tick(60)
    expect(next.numbers.ejectedEndpoints).to.equal(1)
  })

  it('drops endpoints that it does not know and exports only what has something to tell', () => {
    const old = cluster({ endpoints: endpoints(9), policy })
    attempt(old, stateOf(old, '10.0.0.8'), Outcome.ok, { latencyMs: 1 })
    const exported = old.exportState(0) as { endpoints: Record<string, unknown> }
    expect(Object.keys(exported.endpoints)).to.deep.equal(['10.0.0.8:80'])
    const next = fresh(0)
    next.importState(exported, 0)
    expect(next.states.length).to.equal(4)
  })

  it('tolerates anything: nonsense is dropped, numbers are cut to what the policy allows', () => {
    const state = {
      requests: 'many',
      ejectedForMs: 1e300,
      ejectionReason: 7,
      warmForMs: -5,
      checkStreak: {},
      peakAgeMs: null,
    }
    const hostile: readonly unknown[] = [
      null,
      undefined,
      7,
      'x',
      [],
      { format: 2 },
      { format: 1, endpoints: [] },
      { format: 1, endpoints: { '10.0.0.0:80': null, __proto__: 4 }, breakerOpenForMs: 'long' },
      { format: 1, endpoints: { '10.0.0.0:80': state }, breakerOpenForMs: 1e300 },
    ]
    for (const data of hostile) fresh(0).importState(data, 0)
    const next = fresh(0)
    next.importState(hostile[8], 0)
    expect(next.admit(4999)).to.not.equal(null)
    expect(next.admit(5000)).to.equal(null)
    next.tick(300_000)
    expect(next.numbers.ejectedEndpoints).to.equal(0)
    expect(next.dump(300_000).endpoints[0]).to.include({ requests: 0, state: 'healthy, warming up' })
  })
})
