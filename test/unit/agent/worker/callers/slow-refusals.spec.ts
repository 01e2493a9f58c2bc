import { expect } from 'chai'
import { CallerAccount } from '../../../../../agent/worker/callers/caller-account.ts'
import { CallerAccounts, maxAccounts } from '../../../../../agent/worker/callers/caller-accounts.ts'
import { refusalDelay, refusalPace } from '../../../../../agent/worker/callers/slow-refusals.ts'

const { burst, longestMs, perSecond } = refusalPace

describe('refusals of one caller', () => {
  it('are told at once up to a burst, then ever later, up to a bound', () => {
    const account = new CallerAccount('batch')
    const delays = Array.from({ length: burst + perSecond + 100 }, () => refusalDelay(account, 0, 0))
    expect(delays.slice(0, burst).every((ms) => ms === 0)).to.equal(true)
    const slowed = delays.slice(burst)
    expect(slowed[0]).to.be.above(0)
    expect(slowed.every((ms, at) => at === 0 || ms >= slowed[at - 1]!)).to.equal(true)
    expect(slowed.at(-1)).to.equal(longestMs)
    expect(account).to.include({ refusals: delays.length, slowed: slowed.length })
  })

  it('at the bound are spread over half of it', () => {
    const account = new CallerAccount('batch')
    for (let nth = 0; nth < burst + perSecond; nth++) refusalDelay(account, 0, 0)
    expect(refusalDelay(account, 0, 0.999)).to.be.within(longestMs / 2, longestMs * 0.51)
  })

  it('are told at once again after a while without', () => {
    const account = new CallerAccount('batch')
    for (let nth = 0; nth < 10_000; nth++) refusalDelay(account, 0, 0)
    expect(refusalDelay(account, 3000, 0)).to.equal(0)
  })

  it('never wait at the free rate', () => {
    const account = new CallerAccount('batch')
    for (let nth = 0; nth < 5000; nth++) expect(refusalDelay(account, (nth * 1000) / perSecond, 0)).to.equal(0)
  })
})

describe('the accounts of callers', () => {
  it('are one for each name, and at their bound the counts of the first are those of others', () => {
    const accounts = new CallerAccounts()
    accounts.of('first').refusals = 7
    expect(accounts.of('first').refusals).to.equal(7)
    for (let nth = 0; nth < maxAccounts; nth++) accounts.of(`c${nth}`)
    const [refusals] = accounts.series()
    expect(refusals!.samples).to.deep.equal([{ labels: ['other'], value: 7 }])
    expect(accounts.of('first').refusals, 'a new one').to.equal(0)
  })
})
