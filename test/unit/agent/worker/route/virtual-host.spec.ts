import { expect } from 'chai'
import { chooseDestination } from '../../../../../agent/worker/route/destination.ts'
import { RouteIds } from '../../../../../agent/worker/route/route-ids.ts'
import { seededRandom } from '../../../../support/seeded-random.ts'
import { matchRoute, releaseVirtualHost } from '../../../../../agent/worker/route/virtual-host.ts'
import { compiled, context, hostSpec, key, orders, request, route, virtualHost } from '../../../../support/routing.ts'

describe('destinations', () => {
  const weighted = (...weights: number[]) =>
    virtualHost([
      route('a', [], {
        action: {
          kind: 'forward',
          destinations: weights.map((weight, i) => ({ service: key(`s${i}`), subset: 'v', port: 80 + i, weight })),
        },
      }),
    ]).routes[0]!

  it('are chosen in proportion to their weights', () => {
    const random = seededRandom(7)
    const counts = [0, 0, 0]
    const chosen = weighted(5, 15, 80)
    for (let i = 0; i < 20_000; i++) counts[chosen.destinations.indexOf(chooseDestination(chosen, random())!)]! += 1
    // three standard deviations of a binomial draw of 20,000
    for (const [i, share] of [0.05, 0.15, 0.8].entries()) {
      expect(counts[i]! / 20_000).to.be.closeTo(share, 3 * Math.sqrt((share * (1 - share)) / 20_000))
    }
  })

  it('are all reached by the whole range of random, its ends included', () => {
    const chosen = weighted(1, 1)
    expect([0, 0.4999, 0.5, 0.99999999].map((draw) => chooseDestination(chosen, draw)!.spec.service)).to.deep.equal([
      key('s0'),
      key('s0'),
      key('s1'),
      key('s1'),
    ])
  })

  it('have the key of their cluster: service, subset, port', () => {
    expect(weighted(1).destinations[0]!.clusterKey).to.equal(`${key('s0')}|v|80`)
    expect(virtualHost([route('a')]).routes[0]!.destinations[0]!.clusterKey).to.equal(`${key('a')}||`)
  })

  it('are none for a route that answers itself, which always has a filter that replies', () => {
    const answered = virtualHost([
      route('a', [], { action: { kind: 'direct', status: 204, body: '', contentType: 'text/plain' } }),
    ]).routes[0]!
    expect(chooseDestination(answered, 0)).to.equal(undefined)
    expect(answered.filters.at(-1)!.filter.onRequest(context(request()))).to.include({ kind: 'answer', status: 204 })
  })
})

describe('header edits', () => {
  it('are the fields to add, and the names that they replace', () => {
    const edits = virtualHost([
      route('a', [], {
        requestHeaders: { set: [['x-a', '1']], add: [['x-b', '']], remove: ['x-c'] },
        responseHeaders: { set: [], add: [], remove: ['server'] },
      }),
    ]).routes[0]!
    expect(edits.requestEdits!.fields).to.deep.equal([
      ['x-a', '1'],
      ['x-b', ''],
    ])
    expect([...edits.requestEdits!.drop]).to.deep.equal(['x-c', 'x-a'])
    expect(edits.responseEdits!.fields.length).to.equal(0)
    expect([...edits.responseEdits!.drop]).to.deep.equal(['server'])
  })

  it('of a destination hold those of its route, of which they replace what they set or remove', () => {
    const [compiled] = virtualHost([
      route('a', [], {
        requestHeaders: { set: [['x-a', 'route']], add: [['X-B', 'route']], remove: ['x-c'] },
        action: {
          kind: 'forward',
          destinations: [
            { service: key('orders'), weight: 1 },
            {
              service: key('orders'),
              weight: 1,
              requestHeaders: { set: [['x-a', 'destination']], add: [['x-n', '张']], remove: ['x-b'] },
            },
          ],
        },
      }),
    ]).routes
    expect(compiled!.destinations[0]!.requestEdits).to.equal(null)
    const edits = compiled!.destinations[1]!.requestEdits!
    expect(edits.fields).to.deep.equal([
      ['x-a', 'destination'],
      ['x-n', Buffer.from('张').toString('latin1')],
    ])
    expect([...edits.drop].toSorted()).to.deep.equal(['x-a', 'x-b', 'x-c'])
  })

  it('are null where there are none, so that they cost nothing', () => {
    const { requestEdits, responseEdits } = virtualHost([
      route('a', [], { requestHeaders: { set: [], add: [], remove: [] } }),
    ]).routes[0]!
    expect([requestEdits, responseEdits]).to.deep.equal([null, null])
  })
})

describe('a plain route', () => {
  it('has no filter, no edit, no rewrite and no mirror', () => {
    expect(virtualHost([route('a')]).routes[0]).to.deep.include({
      filters: [],
      replyFilters: [],
      requestEdits: null,
      responseEdits: null,
      rewritePath: null,
      rewriteAuthority: null,
      retry: null,
      mirrors: [],
    })
  })
})

describe('route numbers', () => {
  it('stay over a change of the host, and are given out again when a route is gone', () => {
    const ids = new RouteIds()
    const first = compiled(hostSpec([route('a'), route('b', [{ uri: { exact: '/b' } }])]), undefined, ids)
    expect(first.routes.map((one) => one.id)).to.deep.equal([0, 1])
    const second = compiled(hostSpec([route('b'), route('c')]), first, ids)
    expect(second.routes.map((one) => one.id)).to.deep.equal([1, 2])
    const other = compiled(hostSpec([route('x')], { name: key('other') }), undefined, ids)
    expect(other.routes[0]!.id, 'the number of a').to.equal(0)
    releaseVirtualHost(other, ids)
    releaseVirtualHost(second, ids)
    expect(ids.take(orders, 'new')).to.be.below(3)
    expect(ids.capacity).to.equal(3)
  })

  it('are shared by the matches of one rule that rewrite differently', () => {
    const host = virtualHost([
      route('a', [{ uri: { prefix: '/long' } }, { uri: { prefix: '/s' } }], { rewrite: { uri: '/n' } }),
    ])
    expect(host.routes.map((one) => one.id)).to.deep.equal([0, 0])
    const rewritten = (path: string): string => {
      const view = request({ path })
      return matchRoute(host, view)!.rewritePath!(view)
    }
    expect([rewritten('/long/x'), rewritten('/s/x')]).to.deep.equal(['/n/x', '/n/x'])
  })
})
