import { expect } from 'chai'
import { seededRandom } from '../../../../support/seeded-random.ts'
import { compileHttpMatch } from '../../../../../agent/worker/route/http-match.ts'
import { pathTable } from '../../../../../agent/worker/route/path-table.ts'
import { indexedTable, literalPrefix, walkedTable } from '../../../../../agent/worker/route/route-table.ts'
import type { TableEntry } from '../../../../../agent/worker/route/route-table.ts'
import type { Route } from '../../../../../agent/worker/route/types.ts'
import { matchRoute } from '../../../../../agent/worker/route/virtual-host.ts'
import type { HttpMatchSpec, StringMatchSpec } from '../../../../../contracts/route-spec.ts'
import { request, route, virtualHost } from '../../../../support/routing.ts'

describe('the first matching route', () => {
  it('wins, however many routes there are and whatever kind they are', () => {
    const routes = [
      route('exact', [{ uri: { exact: '/a/b' } }]),
      route('header', [{ uri: { prefix: '/a' }, headers: { h: { exact: '1' } } }]),
      route('regex', [{ uri: { regex: '/a/[0-9]+' } }]),
      route('long', [{ uri: { prefix: '/a/b' } }]),
      route('short', [{ uri: { prefix: '/a' } }]),
      route('method', [{ method: { exact: 'PUT' } }]),
      route('either', [{ uri: { exact: '/x' } }, { uri: { exact: '/y' } }]),
      route('all'),
    ]
    const host = virtualHost(routes)
    const found = (path: string, more = {}): string | undefined =>
      matchRoute(host, request({ path, ...more }))?.spec.name
    expect(found('/a/b')).to.equal('exact')
    expect(found('/a/bc', { headers: { h: '1' } })).to.equal('header')
    expect(found('/a/12')).to.equal('regex')
    expect(found('/a/bc')).to.equal('long')
    expect(found('/ab')).to.equal('short')
    expect(found('/b', { method: 'PUT' })).to.equal('method')
    expect(found('/y')).to.equal('either')
    expect(found('/')).to.equal('all')
  })

  it('hides later ones, even better ones', () => {
    const routes = Array.from({ length: 20 }, (_, i) => route(`r${i}`, [{ uri: { prefix: i < 10 ? '/' : `/p${i}` } }]))
    expect(matchRoute(virtualHost(routes), request({ path: '/p15' }))!.spec.name).to.equal('r0')
  })

  it('is none when nothing matches', () => {
    expect(matchRoute(virtualHost([route('a', [{ uri: { exact: '/a' } }])]), request({ path: '/b' }))).to.equal(
      undefined,
    )
    expect(matchRoute(virtualHost([]), request())).to.equal(undefined)
  })
})

describe('the path table', () => {
  it('finds exact and prefix entries in their order', () => {
    const table = pathTable([
      { kind: 'prefix', path: '/', number: 0 },
      { kind: 'exact', path: '/ab', number: 1 },
      { kind: 'prefix', path: '/abc', number: 2 },
      { kind: 'prefix', path: '/a', number: 3 },
      { kind: 'prefix', path: '', number: 4 },
      { kind: 'exact', path: '/abc', number: 5 },
      { kind: 'prefix', path: '/ab', number: 6 },
    ])
    const out = new Int32Array(7)
    const found = (path: string): number[] => [...out.subarray(0, table.candidates(path, out))]
    expect(found('/abc')).to.deep.equal([0, 2, 3, 4, 5, 6])
    expect(found('/ab')).to.deep.equal([0, 1, 3, 4, 6])
    expect(found('/abx')).to.deep.equal([0, 3, 4, 6])
    expect(found('/x')).to.deep.equal([0, 4])
    expect(found('')).to.deep.equal([4])
  })

  it('gives the same route as a walk over all matches, for random rules and requests', () => {
    const random = seededRandom(20_260_101)
    const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!
    const word = (): string =>
      Array.from({ length: Math.floor(random() * 4) }, () => pick(['/', 'a', 'b', 'A'])).join('')
    const uri = (): StringMatchSpec =>
      pick<() => StringMatchSpec>([
        () => ({ exact: `/${word()}` }),
        () => ({ prefix: `/${word()}` }),
        () => ({
          regex: `${pick(['/[ab]*', '/ab?', '/a', '^/a*', '/b+', '/a{0,2}', '/(a|b)', '/a|/b'])}${pick(['', '/.*', 'a'])}`,
        }),
      ])()
    const match = (): HttpMatchSpec => ({
      ...(random() < 0.8 ? { uri: uri() } : { method: { exact: pick(['GET', 'PUT']) } }),
      ...(random() < 0.2 ? { ignoreUriCase: true } : {}),
      ...(random() < 0.2 ? { headers: { h: { exact: pick(['1', '2']) } } } : {}),
    })
    let hits = 0
    for (let round = 0; round < 300; round++) {
      const entries: TableEntry[] = Array.from({ length: 1 + Math.floor(random() * 30) }, (_, i) => ({
        match: random() < 0.02 ? undefined : compileHttpMatch(match(), i),
        route: { id: i } as Route,
      }))
      const [walked, indexed] = [walkedTable(entries), indexedTable(entries)]
      for (let i = 0; i < 40; i++) {
        const view = request({
          path: `/${word()}${word()}`,
          method: pick(['GET', 'PUT']),
          headers: { h: pick(['1', '2', '3']) },
        })
        const expected = walked.find(view)
        if (expected !== undefined) hits++
        expect(indexed.find(view), view.path).to.equal(expected)
      }
    }
    expect(hits).to.be.above(1000)
  })

  it('files a regex under what every match of it begins with', () => {
    const prefixes = {
      '/api/v[0-9]+': '/api/v',
      '^/api/.*': '/api/',
      '/ab?c': '/a',
      '/ab*': '/a',
      '/ab{0,3}': '/a',
      '/ab+': '/ab',
      '/a\\.b': '/a',
      '/a|/b': '',
      '/a(b|c)': '',
      '(?i)/a': '',
      '.*': '',
      '': '',
    }
    for (const [pattern, prefix] of Object.entries(prefixes)) expect(literalPrefix(pattern), pattern).to.equal(prefix)
  })

  it('makes the last of 1,000 routes cost about as much as the last of ten', () => {
    const timeOf = (count: number): number => {
      const host = virtualHost(
        Array.from({ length: count }, (_, i) => route(`r${i}`, [{ uri: { prefix: `/service-${i}/` } }])),
      )
      const view = request({ path: `/service-${count - 1}/items/42` })
      let best = Infinity
      for (let round = 0; round < 15; round++) {
        const from = performance.now()
        for (let i = 0; i < 2000; i++) matchRoute(host, view)
        best = Math.min(best, performance.now() - from)
      }
      return best
    }
    timeOf(100)
    expect(timeOf(1000) / timeOf(10)).to.be.below(8)
  })
})
