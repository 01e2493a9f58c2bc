import { expect } from 'chai'
import { judge } from '../../../../../registry-adapters/nacos/naming/judge.ts'
import type { Known, News } from '../../../../../registry-adapters/nacos/naming/judge.ts'
import { readService } from '../../../../../registry-adapters/nacos/naming/read-service.ts'
import { wireInstance } from '../../../../support/nacos/stand-in/store.ts'

const orders = { namespace: 'public', group: 'DEFAULT_GROUP', name: 'orders' }
const options = { rules: { allowLoopback: false, allowLinkLocal: false, isOwnPort: () => false }, clusters: [] }

function view(count: number, more: object = {}) {
  const hosts = Array.from({ length: count }, (_, index) => wireInstance({ ip: `10.0.0.${index + 1}` }))
  return readService({ name: 'orders', groupName: 'DEFAULT_GROUP', hosts, lastRefTime: 1000, ...more }, orders, options)
}
const known = (count: number): Known => ({
  endpoints: view(count).endpoints,
  lastRefTime: 1000,
  source: 's1',
  acceptedAt: 50,
})
const pushed = (count: number, more: object = {}, source = 's1'): News => ({
  view: view(count, more),
  source,
  askedAt: undefined,
})

describe('judging news about a service', () => {
  it('accepts the first word, even an empty one', () => {
    expect(judge(undefined, pushed(0), 'calm')).to.equal('accept')
    expect(judge(undefined, pushed(3), 'outage')).to.equal('accept')
  })

  it('accepts growth, change and a moderate loss at once', () => {
    expect(judge(known(10), pushed(12), 'calm')).to.equal('accept')
    expect(judge(known(10), pushed(3), 'calm')).to.equal('accept')
  })

  it('holds an empty list and a list below the protected share', () => {
    expect(judge(known(10), pushed(0), 'calm')).to.equal('empty')
    expect(judge(known(10), pushed(2), 'calm')).to.equal('shrunk')
    expect(judge(known(1), pushed(0), 'calm')).to.equal('empty')
  })

  it('holds any loss while the servers settle after an outage', () => {
    expect(judge(known(10), pushed(9), 'outage')).to.equal('unsettled')
    expect(judge(known(10), pushed(11), 'outage')).to.equal('accept')
  })

  it('doubts any loss while servers come and go, and takes everything else at once', () => {
    expect(judge(known(10), pushed(9), 'trouble')).to.equal('doubtful')
    expect(judge(known(10), pushed(0), 'trouble')).to.equal('doubtful')
    expect(judge(known(10), pushed(10), 'trouble')).to.equal('accept')
    expect(judge(known(10), pushed(11), 'trouble')).to.equal('accept')
    expect(judge(undefined, pushed(3), 'trouble')).to.equal('accept')
  })

  it('refuses a push that is older than what the same source told', () => {
    expect(judge(known(2), pushed(3, { lastRefTime: 999 }), 'calm')).to.equal('older')
    expect(judge(known(2), pushed(3, { lastRefTime: 1000 }), 'calm')).to.equal('accept')
  })

  it('does not compare the clocks of two servers', () => {
    expect(judge(known(2), pushed(3, { lastRefTime: 1 }, 's2'), 'calm')).to.equal('accept')
  })

  it('believes the answer to a question asked since, although the clock of the server went back', () => {
    const answer = (askedAt: number): News => ({ view: view(3, { lastRefTime: 1 }), source: 's1', askedAt })
    expect(judge(known(2), answer(51), 'calm')).to.equal('accept')
    expect(judge(known(2), answer(49), 'calm')).to.equal('older')
  })

  it('refuses an answer that a push of the same millisecond overtook, unless both say the same', () => {
    const answer = (count: number, askedAt: number): News => ({ view: view(count), source: 's1', askedAt })
    expect(judge(known(2), answer(1, 49), 'calm')).to.equal('older')
    expect(judge(known(2), answer(3, 49), 'calm')).to.equal('older')
    expect(judge(known(2), answer(2, 49), 'calm')).to.equal('accept')
    expect(judge(known(2), answer(1, 51), 'calm')).to.equal('accept')
  })

  it('refuses what the server itself calls invalid', () => {
    expect(judge(undefined, pushed(3, { valid: false }), 'calm')).to.equal('invalid')
  })
})
