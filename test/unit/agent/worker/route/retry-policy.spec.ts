import { expect } from 'chai'
import { compileRetry } from '../../../../../agent/worker/route/retry-policy.ts'
import type { RetryCondition } from '../../../../../contracts/route-spec.ts'

describe('a retry policy', () => {
  const policy = (on: RetryCondition[], statuses: number[] = []) =>
    compileRetry({ attempts: 2, perTryTimeoutMs: 0, on, statuses, backoffMs: 25 })!
  const statusesOf = (on: RetryCondition[], statuses: number[] = []): number[] =>
    [200, 404, 409, 429, 500, 501, 502, 503, 504, 599].filter((status) => policy(on, statuses).onStatus(status))

  it('reads statuses as Envoy does', () => {
    expect(statusesOf(['5xx'])).to.deep.equal([500, 501, 502, 503, 504, 599])
    expect(statusesOf(['gateway-error'])).to.deep.equal([502, 503, 504])
    expect(statusesOf(['retriable-4xx'])).to.deep.equal([409])
    expect(statusesOf(['retriable-status-codes'], [404, 503])).to.deep.equal([404, 503])
    expect(statusesOf(['connect-failure', 'reset', 'refused-stream', 'unavailable'], [503])).to.deep.equal([])
    expect(policy(['5xx']).onStatus(99_999)).to.equal(false)
    expect(policy(['5xx']).onStatus(-1)).to.equal(false)
  })

  it('reads failures before a response head as Envoy does', () => {
    const failures = (...on: RetryCondition[]): boolean[] => {
      const { onConnectFailure, onReset, onResetBeforeReply, onResetBeforeRequest } = policy(on)
      return [onConnectFailure, onReset, onResetBeforeReply, onResetBeforeRequest]
    }
    expect(failures('connect-failure')).to.deep.equal([true, false, false, false])
    expect(failures('reset')).to.deep.equal([false, true, true, true])
    expect(failures('reset-before-reply')).to.deep.equal([false, false, true, true])
    expect(failures('reset-before-request')).to.deep.equal([false, false, false, true])
    expect(failures('refused-stream')).to.deep.equal([false, false, false, true])
    expect(failures('5xx')).to.deep.equal([true, true, true, true])
    expect(failures('gateway-error')).to.deep.equal([true, true, true, true])
    expect(failures('retriable-4xx')).to.deep.equal([false, false, false, false])
  })

  it('is none without attempts', () => {
    expect(compileRetry(undefined)).to.equal(null)
    expect(compileRetry({ attempts: 0, perTryTimeoutMs: 0, on: ['5xx'], statuses: [], backoffMs: 1 })).to.equal(null)
  })
})
