import { expect } from 'chai'
import { Outcome } from '../../../../../agent/worker/balance/types.ts'
import type { Cluster } from '../../../../../agent/worker/balance/types.ts'
import type { BreakerSpec } from '../../../../../contracts/policy-spec.ts'
import { attempt, cluster, endpoints, endpointSet, policyOf } from '../../../../support/balance.ts'

const breaker: BreakerSpec = { failureShare: 0.5, minimumRequests: 10, windowMs: 10_000, openMs: 5000 }

function guarded(traits: Partial<BreakerSpec> = {}): Cluster {
  return cluster({ endpoints: endpoints(2), policy: { breaker: { ...breaker, ...traits } } })
}

/** `count` whole requests, each admitted if the breaker allows. */
function requests(guardedCluster: Cluster, count: number, outcome: Outcome, now: number): number {
  let refused = 0
  for (let nth = 0; nth < count; nth++) {
    if (guardedCluster.admit(now) !== null) {
      refused++
      continue
    }
    attempt(guardedCluster, guardedCluster.states[nth % 2]!, outcome, { status: 503, now, latencyMs: 0 })
    guardedCluster.release()
  }
  return refused
}

describe('circuit breaker', () => {
  it('opens when the share of failures is reached and refuses with its own code', () => {
    const tripped = guarded()
    expect(requests(tripped, 10, Outcome.serverError, 0)).to.equal(0)
    expect(tripped.admit(1)).to.include({ code: 'E_BALANCE_BREAKER_OPEN', flag: 'UO' })
    expect(tripped.dump(1).breaker).to.equal('open')
    expect(tripped.numbers).to.include({ breakerRefusals: 1, breakerOpenings: 1, activeRequests: 0 })
  })

  it('stays closed below the minimum of requests', () => {
    const quiet = guarded()
    requests(quiet, 9, Outcome.connectFailure, 0)
    expect(quiet.admit(1)).to.equal(null)
  })

  it('stays closed below the share of failures', () => {
    const fair = guarded()
    requests(fair, 60, Outcome.ok, 0)
    requests(fair, 59, Outcome.reset, 0)
    expect(fair.admit(1)).to.equal(null)
  })

  it('forgets failures that slid out of the window', () => {
    const old = guarded()
    requests(old, 9, Outcome.timeout, 0)
    requests(old, 9, Outcome.timeout, 11_000)
    expect(old.admit(11_000)).to.equal(null)
    old.release()
    requests(old, 1, Outcome.timeout, 12_000)
    expect(old.admit(12_000)).to.not.equal(null)
  })

  it('does not count callers who went away', () => {
    const left = guarded()
    requests(left, 100, Outcome.cancelled, 0)
    expect(left.admit(0)).to.equal(null)
  })

  it('lets exactly one trial through when the open time is over', () => {
    const trying = guarded()
    requests(trying, 10, Outcome.serverError, 0)
    expect(trying.admit(4999)).to.not.equal(null)
    expect(trying.admit(5000)).to.equal(null)
    for (let nth = 0; nth < 50; nth++) expect(trying.admit(5001)).to.not.equal(null)
    expect(trying.dump(5001).breaker).to.equal('half-open')
  })

  it('closes with an empty window after a good trial', () => {
    const recovered = guarded()
    requests(recovered, 10, Outcome.serverError, 0)
    expect(requests(recovered, 1, Outcome.ok, 5000)).to.equal(0)
    expect(recovered.dump(5000).breaker).to.equal('closed')
    expect(requests(recovered, 9, Outcome.serverError, 5001)).to.equal(0)
    expect(recovered.admit(5001)).to.equal(null)
  })

  it('opens again for the whole time after a failed trial', () => {
    const failing = guarded()
    requests(failing, 10, Outcome.serverError, 0)
    requests(failing, 1, Outcome.connectTimeout, 5000)
    expect(failing.admit(9999)).to.not.equal(null)
    expect(failing.admit(10_000)).to.equal(null)
    expect(failing.numbers).to.include({ breakerOpenings: 2, breakerState: 1 })
  })

  it('gives the trial to the next request when the first one ends without a verdict', () => {
    const cancelled = guarded()
    requests(cancelled, 10, Outcome.serverError, 0)
    requests(cancelled, 1, Outcome.cancelled, 5000)
    expect(cancelled.admit(5001)).to.equal(null)
    cancelled.release()
    expect(cancelled.admit(5002), 'a trial that reached no endpoint').to.equal(null)
  })

  it('allows another trial when the first one hangs for the open time', () => {
    const hanging = guarded()
    requests(hanging, 10, Outcome.serverError, 0)
    hanging.admit(5000)
    hanging.beginAttempt(hanging.states[0]!, 5000)
    expect(hanging.admit(9999)).to.not.equal(null)
    expect(hanging.admit(10_000)).to.equal(null)
  })

  it('ignores attempts that began before it opened when they end during the trial', () => {
    const late = guarded()
    const [one, two] = [late.states[0]!, late.states[1]!]
    late.beginAttempt(one, 0)
    late.beginAttempt(two, 0)
    requests(late, 10, Outcome.serverError, 0)
    late.admit(5000)
    late.beginAttempt(one, 5000)
    late.endAttempt(two, Outcome.ok, 200, 5100, 5100)
    late.endAttempt(one, Outcome.ok, 200, 5100, 5100)
    expect(late.dump(5100).breaker).to.equal('half-open')
    late.endAttempt(one, Outcome.ok, 200, 150, 5150)
    expect(late.dump(5150).breaker).to.equal('closed')
  })

  it('is off without a policy and goes away with it', () => {
    const tripped = guarded()
    requests(tripped, 10, Outcome.serverError, 0)
    tripped.update(endpointSet(endpoints(2)), policyOf(), 1)
    expect(tripped.admit(1)).to.equal(null)
    expect(tripped.dump(1).breaker).to.equal('off')
  })

  it('keeps its state over an update of endpoints and of its numbers', () => {
    const tripped = guarded()
    requests(tripped, 10, Outcome.serverError, 0)
    tripped.update(endpointSet(endpoints(5)), policyOf({ breaker: { ...breaker, windowMs: 20_000 } }), 1)
    expect(tripped.admit(1)).to.not.equal(null)
  })
})
