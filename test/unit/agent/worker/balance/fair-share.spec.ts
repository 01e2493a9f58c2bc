import { expect } from 'chai'
import { claimMs, FairShare, maxCallers, ShareVerdict } from '../../../../../agent/worker/balance/fair-share.ts'
import { defaultTrafficPolicy } from '../../../../../contracts/policy-spec.ts'
import { cluster } from '../../../../support/balance.ts'

const caller = (callerKey: string) => ({ callerKey, share: '' })

/** What `name` gets of `bound` places when it asks as often as it can. */
function fill(shares: FairShare, name: string, taken: number, bound: number, now = 0): number {
  let got = 0
  while (taken + got < bound && shares.enter(caller(name), taken + got, bound, now) === ShareVerdict.granted) got++
  return got
}

describe('the shares of callers in a bound', () => {
  it('ask nobody who it is while less than half of the places are taken', () => {
    const unasked = {
      get callerKey(): string {
        throw new Error('asked')
      },
      share: '',
    }
    expect(new FairShare().enter(unasked, 4, 10, 0)).to.equal(ShareVerdict.granted)
    expect(unasked.share).to.equal('')
  })

  it('leave everything to a caller that is alone', () => {
    expect(fill(new FairShare(), 'batch', 0, 100)).to.equal(100)
  })

  it('keep a quarter of the crowded half for another that was seen in the last minute', () => {
    const shares = new FairShare()
    shares.note(caller('shop'), 0)
    expect(fill(shares, 'batch', 0, 100)).to.equal(88)
    expect(shares.enter(caller('batch'), 88, 100, 0)).to.equal(ShareVerdict.overShare)
    expect(fill(shares, 'shop', 88, 100), 'its claim').to.equal(12)
    const later = new FairShare()
    later.note(caller('shop'), 0)
    expect(fill(later, 'batch', 0, 100, claimMs)).to.equal(100)
  })

  it('give a place back for the next of the same caller', () => {
    const shares = new FairShare()
    shares.note(caller('shop'), 0)
    const held = caller('batch')
    shares.enter(held, 50, 100, 0)
    fill(shares, 'batch', 51, 100)
    expect(shares.enter(caller('batch'), 88, 100, 0)).to.equal(ShareVerdict.overShare)
    shares.leave(held.share)
    expect(shares.enter(caller('batch'), 87, 100, 0)).to.equal(ShareVerdict.granted)
  })

  it('hold a caller to the limit of a policy from the first request on, and others to that for everybody', () => {
    const shares = new FairShare()
    shares.renew([
      { caller: 'batch', maxRequests: 2, weight: 1 },
      { caller: '*', maxRequests: 3, weight: 1 },
    ])
    expect(fill(shares, 'batch', 0, 100)).to.equal(2)
    expect(shares.enter(caller('batch'), 2, 100, 0)).to.equal(ShareVerdict.overLimit)
    expect(fill(shares, 'shop', 2, 100)).to.equal(3)
    shares.renew([])
    expect(shares.enter(caller('batch'), 60, 100, 0), 'the limit is gone').to.equal(ShareVerdict.granted)
  })

  it('weigh claims', () => {
    const shares = new FairShare()
    shares.renew([{ caller: 'shop', maxRequests: 0, weight: 3 }])
    shares.note(caller('shop'), 0)
    expect(fill(shares, 'batch', 0, 100), 'three of four eighths are the shop’s').to.equal(63)
  })

  it('remember so many callers, and let the next ones in without a claim', () => {
    const shares = new FairShare()
    for (let nth = 0; nth < maxCallers; nth++) shares.enter(caller(`c${nth}`), 500, 1000, 0)
    const late = caller('late')
    expect(shares.enter(late, 800, 1000, 0)).to.equal(ShareVerdict.granted)
    expect(late.share, 'not counted').to.equal('')
    shares.enter(late, 800, 1000, claimMs * 2)
    expect([...shares.held()].length).to.be.at.most(maxCallers)
  })

  it('hold to the limit of a policy also whom nobody remembers yet: those without a place are forgotten for them', () => {
    const shares = new FairShare()
    shares.renew([
      { caller: 'batch', maxRequests: 2, weight: 1 },
      { caller: '*', maxRequests: 3, weight: 1 },
    ])
    for (let nth = 0; nth < maxCallers; nth++) {
      const one = caller(`c${nth}`)
      shares.enter(one, 0, 10_000, nth)
      if (nth > 0) shares.leave(one.share)
    }
    expect(fill(shares, 'batch', 0, 10_000, 1000)).to.equal(2)
    expect(fill(shares, 'late', 0, 10_000, 1000)).to.equal(3)
    expect(fill(shares, 'c0', 0, 10_000, 1000), 'it holds one').to.equal(2)
    expect(fill(shares, 'batch', 0, 10_000, 1000), 'named').to.equal(0)
  })

  it('hold those beyond all that have a place to one limit together, and one that is named to its own', () => {
    const shares = new FairShare()
    shares.renew([
      { caller: 'batch', maxRequests: 2, weight: 1 },
      { caller: '*', maxRequests: 3, weight: 1 },
    ])
    for (let nth = 0; nth < maxCallers; nth++) shares.enter(caller(`c${nth}`), 0, 10_000, 0)
    const late = caller('late')
    expect(shares.enter(late, 300, 10_000, 0)).to.equal(ShareVerdict.granted)
    expect(fill(shares, 'later', 300, 10_000)).to.equal(2)
    expect(fill(shares, 'late', 300, 10_000)).to.equal(0)
    expect(fill(shares, 'batch', 300, 10_000)).to.equal(2)
    shares.leave(late.share)
    expect(fill(shares, 'later', 300, 10_000)).to.equal(1)
  })

  it('are refused by the destination with a code of their own, and counted', () => {
    const limited = cluster({ policy: { callers: [{ caller: 'batch', maxRequests: 1, weight: 1 }] } })
    const first = caller('batch')
    expect(limited.admit(0, first)).to.equal(null)
    expect(limited.admit(0, caller('batch'))).to.include({ code: 'E_BALANCE_CALLER_SHARE', flag: 'UO' })
    expect(limited.admit(0, caller('shop'))).to.equal(null)
    expect(limited.numbers).to.include({ activeRequests: 2, callerOverflows: 1 })
    expect(limited.dump(0).callers).to.deep.equal([
      { caller: 'batch', requests: 1 },
      { caller: 'shop', requests: 1 },
    ])
    limited.release(first.share)
    expect(limited.admit(0, caller('batch'))).to.equal(null)
  })

  it('are claimed by a caller that found everything taken', () => {
    const full = cluster({ policy: { pool: { ...defaultTrafficPolicy.pool, maxRequests: 16 } } })
    const batch = Array.from({ length: 16 }, () => caller('batch'))
    for (const one of batch) expect(full.admit(0, one)).to.equal(null)
    expect(full.admit(0, caller('shop'))).to.include({ code: 'E_BALANCE_OVERFLOW' })
    for (const one of batch.slice(-2)) full.release(one.share)
    expect(full.admit(0, caller('batch'))).to.include({ code: 'E_BALANCE_CALLER_SHARE' })
    expect(full.admit(0, caller('shop'))).to.equal(null)
  })
})
