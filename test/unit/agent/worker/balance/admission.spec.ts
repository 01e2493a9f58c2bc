import { expect } from 'chai'
import type { ConnectionPoolSpec } from '../../../../../contracts/policy-spec.ts'
import { defaultTrafficPolicy } from '../../../../../contracts/policy-spec.ts'
import { cluster, endpoints, endpointSet, policyOf } from '../../../../support/balance.ts'

const pool = (traits: Partial<ConnectionPoolSpec>): ConnectionPoolSpec => ({ ...defaultTrafficPolicy.pool, ...traits })

describe('limits of a destination', () => {
  it('admits up to the limit of requests, refuses the next, and admits again after a release', () => {
    const limited = cluster({ policy: { pool: pool({ maxRequests: 2 }) } })
    expect(limited.admit(0)).to.equal(null)
    expect(limited.admit(0)).to.equal(null)
    expect(limited.admit(0)).to.include({ code: 'E_BALANCE_OVERFLOW', flag: 'UO' })
    expect(limited.numbers).to.include({ activeRequests: 2, requestOverflows: 1 })
    limited.release()
    expect(limited.admit(0)).to.equal(null)
  })

  it('bounds connections and pending requests, each with its own count of refusals', () => {
    const limited = cluster({ policy: { pool: pool({ maxConnections: 1, maxPending: 2 }) } })
    expect([limited.tryConnection(), limited.tryConnection()]).to.deep.equal([true, false])
    expect([limited.tryPending(), limited.tryPending(), limited.tryPending()]).to.deep.equal([true, true, false])
    limited.endConnection()
    limited.endPending()
    expect([limited.tryConnection(), limited.tryPending()]).to.deep.equal([true, true])
    expect(limited.numbers).to.include({
      connections: 1,
      pendingRequests: 2,
      connectionOverflows: 1,
      pendingOverflows: 1,
    })
  })

  it('keeps what is admitted when a limit is lowered and refuses until it fits again', () => {
    const limited = cluster({ policy: { pool: pool({ maxRequests: 3 }) } })
    for (let nth = 0; nth < 3; nth++) limited.admit(0)
    limited.update(endpointSet(endpoints(3)), policyOf({ pool: pool({ maxRequests: 1 }) }), 0)
    limited.release()
    limited.release()
    expect(limited.admit(0)).to.not.equal(null)
    limited.release()
    expect(limited.admit(0)).to.equal(null)
  })
})

describe('retries of a destination', () => {
  it('are bounded by a fixed limit where there is no budget', () => {
    const limited = cluster({ policy: { pool: pool({ maxRetries: 1 }), retryBudget: undefined } })
    expect([limited.tryRetry(), limited.tryRetry()]).to.deep.equal([true, false])
    limited.endRetry()
    expect(limited.tryRetry()).to.equal(true)
    expect(limited.numbers.retryOverflows).to.equal(1)
  })

  it('may always be as many as the minimum concurrency of the budget', () => {
    const quiet = cluster({ policy: { retryBudget: { share: 0.2, minimumConcurrency: 2 } } })
    quiet.admit(0)
    expect([quiet.tryRetry(), quiet.tryRetry(), quiet.tryRetry()]).to.deep.equal([true, true, false])
  })

  it('are at most the share of active requests, whatever the fixed limit says', () => {
    const busy = cluster({
      policy: { pool: pool({ maxRetries: 1 }), retryBudget: { share: 0.2, minimumConcurrency: 1 } },
    })
    for (let nth = 0; nth < 100; nth++) busy.admit(0)
    let granted = 0
    while (busy.tryRetry()) granted++
    expect(granted).to.equal(20)
  })
})
