import { expect } from 'chai'
import { seededRandom } from '../../../../support/seeded-random.ts'
import { cookieValue } from '../../../../../agent/worker/route/cookie.ts'
import { connectionHash, makeHashCookie, readHash } from '../../../../../agent/worker/route/hash-key.ts'
import { murmur3 } from '../../../../../agent/worker/route/murmur3.ts'
import { queryParameter } from '../../../../../agent/worker/route/query.ts'
import type { HashKeySpec } from '../../../../../contracts/policy-spec.ts'
import { request } from '../../../../support/routing.ts'

const cookie = (ttlMs: number | undefined, path = '/'): HashKeySpec => ({
  from: 'cookie',
  name: 'session',
  path,
  ttlMs,
})

describe('the key of a consistent hash', () => {
  it('is read from a header, a cookie, the caller or the query', () => {
    const view = request({ headers: { 'x-user': 'bob', cookie: 'a=1; session=bob' }, path: '/?user=bob', from: 'bob' })
    for (const spec of [
      { from: 'header', name: 'x-user' },
      cookie(undefined),
      { from: 'source-address' },
      { from: 'query', name: 'user' },
    ] as const) {
      expect(readHash(spec, view), spec.from).to.equal(murmur3('bob'))
    }
  })

  it('is nothing when the request has none', () => {
    expect(readHash({ from: 'header', name: 'x-user' }, request())).to.equal(undefined)
    expect(readHash(cookie(0), request())).to.equal(undefined)
    expect(readHash({ from: 'query', name: 'user' }, request())).to.equal(undefined)
  })

  it('of a raw connection is the address of the caller, and no other key', () => {
    const view = { sourceAddress: '10.0.0.1' }
    expect(connectionHash({ from: 'source-address' }, view)).to.equal(murmur3('10.0.0.1'))
    expect(connectionHash({ from: 'header', name: 'x' }, view)).to.equal(undefined)
  })

  it('is made as a cookie where the rule has a ttl, and leads to the same place when it comes back', () => {
    const made = makeHashCookie(cookie(3_600_000), seededRandom(1))!
    expect(made.edits.fields[0]![0]).to.equal('set-cookie')
    const [, value] = /^session=([0-9a-f]{16}); Max-Age=3600; Path=\/; HttpOnly$/.exec(made.edits.fields[0]![1])!
    expect(readHash(cookie(3_600_000), request({ headers: { cookie: `session=${value}` } }))).to.equal(made.hash)
  })

  it('is a session cookie with ttl 0 and without a path where none is given', () => {
    expect(makeHashCookie(cookie(0, ''), seededRandom(1))!.edits.fields[0]![1]).to.match(
      /^session=[0-9a-f]{16}; HttpOnly$/,
    )
  })

  it('is not made without a ttl, and only for cookies', () => {
    expect(makeHashCookie(cookie(undefined), seededRandom(1))).to.equal(undefined)
    expect(makeHashCookie({ from: 'source-address' }, seededRandom(1))).to.equal(undefined)
  })

  it('is another one for every caller', () => {
    const random = seededRandom(1)
    expect(new Set(Array.from({ length: 1000 }, () => makeHashCookie(cookie(0), random)!.hash)).size).to.be.above(995)
  })
})

describe('cookies', () => {
  it('are found by their whole name', () => {
    expect(cookieValue('a=1; ab=2;  b = 3 ', 'ab')).to.equal('2')
    expect(cookieValue('ab=2', 'a')).to.equal(undefined)
    expect(cookieValue('b = 3 ', 'b')).to.equal('3')
    expect(cookieValue('a="x y"', 'a')).to.equal('x y')
    expect(cookieValue('a=1; a=2', 'a')).to.equal('1')
    expect(cookieValue('a=b=c', 'a')).to.equal('b=c')
    for (const field of [undefined, '', ';', 'a', '=', '; ;a'])
      expect(cookieValue(field, 'a'), field).to.equal(undefined)
  })
})

describe('query parameters', () => {
  it('are found by their whole name, as on the wire, the first of several', () => {
    expect(queryParameter('a=1&b=2&a=3', 'a')).to.equal('1')
    expect(queryParameter('a=1&b=x+y%21', 'b')).to.equal('x+y%21')
    expect(queryParameter('%61=1', 'a')).to.equal(undefined)
    expect(queryParameter('%61=1', '%61')).to.equal('1')
    expect(queryParameter('a', 'a')).to.equal('')
    expect(queryParameter('a=', 'a')).to.equal('')
    expect(queryParameter('a=%zz', 'a')).to.equal('%zz')
    for (const query of ['', '&', 'b=a', 'aa=1', '=a']) expect(queryParameter(query, 'a'), query).to.equal(undefined)
  })
})
