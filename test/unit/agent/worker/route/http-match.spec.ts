import { expect } from 'chai'
import { compileHttpMatch, describeMiss, matchesAll } from '../../../../../agent/worker/route/http-match.ts'
import type { HttpMatchSpec } from '../../../../../contracts/route-spec.ts'
import { app, request } from '../../../../support/routing.ts'
import type { RequestTraits } from '../../../../support/routing.ts'

/** What the rule asks, a request that has it, one that has not, and what is said about that one. */
const cases: readonly (readonly [string, HttpMatchSpec, RequestTraits, RequestTraits, string])[] = [
  ['exact path', { uri: { exact: '/a' } }, { path: '/a?q=1' }, { path: '/a/' }, 'path is "/a/", wanted exact "/a"'],
  ['path prefix', { uri: { prefix: '/a' } }, { path: '/ab' }, { path: '/A' }, 'path is "/A", wanted prefix "/a"'],
  [
    'path regex, over the whole path',
    { uri: { regex: '/a[0-9]+' } },
    { path: '/a12?x' },
    { path: '/a12/b' },
    'path is "/a12/b", wanted regex "/a[0-9]+"',
  ],
  [
    'exact path in any case',
    { uri: { exact: '/Ab' }, ignoreUriCase: true },
    { path: '/aB' },
    { path: '/abc' },
    'path is "/abc", wanted exact "/Ab" in any case',
  ],
  [
    'prefix in any case',
    { uri: { prefix: '/Ab' }, ignoreUriCase: true },
    { path: '/aBc' },
    { path: '/a' },
    'path is "/a", wanted prefix "/Ab" in any case',
  ],
  [
    'escapes as sent (R37)',
    { uri: { prefix: '/a/b' } },
    { path: '/a/b' },
    { path: '/a%2fb' },
    'path is "/a%2fb", wanted prefix "/a/b"',
  ],
  [
    'dots as sent (R37)',
    { uri: { prefix: '/b' } },
    { path: '/b' },
    { path: '/a/../b' },
    'path is "/a/../b", wanted prefix "/b"',
  ],
  ['method', { method: { exact: 'PUT' } }, { method: 'PUT' }, { method: 'put' }, 'method is "put", wanted exact "PUT"'],
  ['scheme', { scheme: { exact: 'https' } }, { scheme: 'https' }, {}, 'scheme is "http", wanted exact "https"'],
  [
    'authority without case',
    { authority: { exact: 'Shop:80' } },
    { host: 'SHOP:80' },
    { host: 'shop' },
    'authority is "shop", wanted exact "shop:80"',
  ],
  ['port', { port: 20_001 }, { port: 20_001 }, { port: 1 }, 'port is 1, wanted 20001'],
  [
    'header',
    { headers: { 'x-a': { exact: 'b' } } },
    { headers: { 'x-a': 'b' } },
    { headers: { 'x-a': 'B' } },
    'header x-a is "B", wanted exact "b"',
  ],
  [
    'header that is absent',
    { headers: { 'x-a': { prefix: 'b' } } },
    { headers: { 'x-a': 'bc' } },
    {},
    'header x-a is absent, wanted prefix "b"',
  ],
  [
    'header presence',
    { headers: { 'x-a': { present: true } } },
    { headers: { 'x-a': '' } },
    {},
    'header x-a is absent, wanted to be there',
  ],
  [
    'header absence',
    { withoutHeaders: { 'x-a': { present: true } } },
    {},
    { headers: { 'x-a': '' } },
    'header x-a is "", wanted to be absent',
  ],
  [
    'header without a value',
    { withoutHeaders: { 'x-a': { exact: 'b' } } },
    { headers: { 'x-a': 'c' } },
    { headers: { 'x-a': 'b' } },
    'header x-a is "b", wanted anything but exact "b"',
  ],
  [
    'header that is absent or not empty, where a pattern may be anything',
    { withoutHeaders: { 'x-a': { regex: 'b?' } } },
    { headers: { 'x-a': 'c' } },
    {},
    'header x-a is absent, wanted anything but regex "b?"',
  ],
  [
    'bytes of UTF-8 in a header',
    { headers: { 'x-a': { exact: '张三' } } },
    { headers: { 'x-a': Buffer.from('张三').toString('latin1') } },
    { headers: { 'x-a': Buffer.from('三').toString('latin1') } },
    'header x-a is "三", wanted exact "张三"',
  ],
  [
    'characters of UTF-8 by a regex in a header',
    { headers: { 'x-a': { regex: '[张李].' } } },
    { headers: { 'x-a': Buffer.from('李三').toString('latin1') } },
    { headers: { 'x-a': Buffer.from('王三').toString('latin1') } },
    'header x-a is "王三", wanted regex "[张李]."',
  ],
  [
    'query parameter',
    { queryParams: { v: { exact: 'a%20b' } } },
    { path: '/?u=1&v=a%20b' },
    { path: '/?v=ab' },
    'query parameter v is "ab", wanted exact "a%20b"',
  ],
  [
    'query parameter presence',
    { queryParams: { v: { present: true } } },
    { path: '/?v' },
    { path: '/?vv=1' },
    'query parameter v is absent, wanted to be there',
  ],
  [
    'label of the caller',
    { sourceLabels: { tier: 'web' } },
    { source: app('cart', { tier: 'web' }) },
    { source: app('cart', { tier: 'db' }) },
    'label tier of the caller is "db", wanted exact "web"',
  ],
  [
    'calling application',
    { sourceLabels: { app: 'cart' } },
    { source: app('cart') },
    {},
    'the calling application is not known, wanted label app=cart',
  ],
  [
    'namespace of the caller',
    { sourceNamespace: 'prod' },
    { source: app('a', {}, 'prod') },
    { source: app('a') },
    'namespace of the caller is "public", wanted exact "prod"',
  ],
]

describe('a match', () => {
  for (const [what, spec, hit, missed, reason] of cases) {
    it(`decides by ${what}, and says why not`, () => {
      const match = compileHttpMatch(spec, 0)
      expect(matchesAll(match, request(hit))).to.equal(true)
      expect(describeMiss(match, request(hit))).to.equal(undefined)
      expect(matchesAll(match, request(missed))).to.equal(false)
      expect(describeMiss(match, request(missed))).to.equal(reason)
    })
  }

  it('needs all of its conditions', () => {
    const match = compileHttpMatch(
      { uri: { prefix: '/a' }, method: { exact: 'GET' }, headers: { h: { exact: '1' } } },
      0,
    )
    expect(matchesAll(match, request({ path: '/a', headers: { h: '1' } }))).to.equal(true)
    expect(describeMiss(match, request({ path: '/b', headers: { h: '1' } }))).to.include('path')
    expect(describeMiss(match, request({ path: '/a', method: 'PUT', headers: { h: '1' } }))).to.include('method')
    expect(describeMiss(match, request({ path: '/a' }))).to.include('header h')
  })

  it('shows found values without control characters and cut', () => {
    const match = compileHttpMatch({ headers: { h: { exact: '1' } } }, 0)
    expect(describeMiss(match, request({ headers: { h: 'a\u001b[31m' } }))).to.include('"a\\u001b[31m"')
    expect(describeMiss(match, request({ headers: { h: 'x'.repeat(5000) } }))!.length).to.be.below(300)
  })

  it('reads nothing of the head that it does not ask for', () => {
    const match = compileHttpMatch({ uri: { prefix: '/a' } }, 0)
    const view = { ...request({ path: '/a' }), header: () => expect.fail('a header was read') }
    Object.defineProperty(view, 'query', { get: () => expect.fail('the query was read') })
    Object.defineProperty(view, 'authority', { get: () => expect.fail('the authority was read') })
    expect(matchesAll(match, view)).to.equal(true)
  })
})
