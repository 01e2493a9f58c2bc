import { expect } from 'chai'

import { Outcome } from '../../../../../agent/worker/balance/types.ts'
import {
  backoffMs,
  FreeRepeat,
  freeRepeat,
  mayRepeat,
  wantsRetry,
} from '../../../../../agent/worker/forward/retry-decision.ts'
import { compileRetry } from '../../../../../agent/worker/route/retry-policy.ts'
import type { RetryCondition } from '../../../../../contracts/route-spec.ts'

const policy = (...on: RetryCondition[]) =>
  compileRetry({ attempts: 2, perTryTimeoutMs: 0, on, statuses: [], backoffMs: 25 })

describe('whether a failed attempt is repeated', () => {
  it('any request of which nothing was read may be', () => {
    for (const isIdempotent of [true, false]) {
      expect(mayRepeat({ isIdempotent, mayBeRead: false, isReplayable: true })).to.equal(true)
    }
  })

  it('one that may have been read only when it is idempotent (R31)', () => {
    expect(mayRepeat({ isIdempotent: true, mayBeRead: true, isReplayable: true })).to.equal(true)
    expect(mayRepeat({ isIdempotent: false, mayBeRead: true, isReplayable: true })).to.equal(false)
  })

  it('none whose body is not whole here any more', () => {
    expect(mayRepeat({ isIdempotent: true, mayBeRead: true, isReplayable: false })).to.equal(false)
    expect(mayRepeat({ isIdempotent: true, mayBeRead: false, isReplayable: false })).to.equal(false)
  })

  it('only for what the policy names', () => {
    expect(wantsRetry(policy('connect-failure'), Outcome.connectFailure, false)).to.equal(true)
    expect(wantsRetry(policy('connect-failure'), Outcome.connectTimeout, false)).to.equal(true)
    expect(wantsRetry(policy('connect-failure'), Outcome.reset, true)).to.equal(false)
    expect(wantsRetry(policy('reset'), Outcome.reset, true)).to.equal(true)
    expect(wantsRetry(policy('reset'), Outcome.timeout, true)).to.equal(true)
    expect(wantsRetry(policy('reset-before-request'), Outcome.reset, false)).to.equal(true)
    expect(wantsRetry(policy('reset-before-request'), Outcome.reset, true)).to.equal(false)
    expect(wantsRetry(policy('reset-before-reply'), Outcome.reset, true)).to.equal(true)
    expect(wantsRetry(policy('reset-before-reply'), Outcome.timeout, true)).to.equal(false)
    expect(wantsRetry(policy('reset-before-reply'), Outcome.protocol, true)).to.equal(false)
    expect(wantsRetry(policy('5xx'), Outcome.cancelled, true)).to.equal(false)
    expect(wantsRetry(null, Outcome.connectFailure, false)).to.equal(false)
  })

  describe('without a retry, on a fresh connection', () => {
    const get = { isIdempotent: true, mayBeRead: true, isReplayable: true }

    it('when nobody read it, whatever its method', () => {
      for (const isIdempotent of [true, false]) {
        const unread = { isIdempotent, mayBeRead: false, isReplayable: true }
        expect(freeRepeat(Outcome.reset, false, false, unread)).to.equal(FreeRepeat.unread)
        expect(freeRepeat(Outcome.reset, true, false, { ...unread, isReplayable: false })).to.equal(FreeRepeat.none)
      }
    })

    it('when it is idempotent and a reused connection broke without a byte of a reply', () => {
      expect(freeRepeat(Outcome.reset, true, false, get)).to.equal(FreeRepeat.reusedConnection)
      expect(freeRepeat(Outcome.reset, false, false, get)).to.equal(FreeRepeat.none)
      expect(freeRepeat(Outcome.reset, true, true, get)).to.equal(FreeRepeat.none)
      expect(freeRepeat(Outcome.reset, true, false, { ...get, isReplayable: false })).to.equal(FreeRepeat.none)
      expect(freeRepeat(Outcome.timeout, true, false, get)).to.equal(FreeRepeat.none)
    })

    it('never when it is not idempotent and may have been read (R31)', () => {
      expect(freeRepeat(Outcome.reset, true, false, { ...get, isIdempotent: false })).to.equal(FreeRepeat.none)
    })
  })

  it('after a back-off with full jitter that grows twofold up to ten times the first', () => {
    const longest = (retries: number) => backoffMs(policy('5xx')!, retries, () => 1)
    expect([0, 1, 2, 3, 4, 9].map(longest)).to.deep.equal([25, 50, 100, 200, 250, 250])
    expect(backoffMs(policy('5xx')!, 3, () => 0)).to.equal(0)
  })
})
