import { expect } from 'chai'
import { ask, askAboutConnection } from '../../../../../agent/worker/filters/filter.ts'
import { allFilterKinds } from '../../../../support/filter-kinds.ts'
import { VerdictCounts } from '../../../../../agent/worker/filters/verdict-counts.ts'
import { RouteIds } from '../../../../../agent/worker/route/route-ids.ts'
import { noIdentity } from '../../../../../agent/worker/transport/transport.ts'
import type { FilterSpec } from '../../../../../contracts/route-spec.ts'
import { compiled, connection, context, filtersOf, hostSpec, request, route } from '../../../../support/routing.ts'

describe('filters', () => {
  const limit: FilterSpec = {
    kind: 'rate-limit',
    name: 'l',
    maxTokens: 1,
    tokensPerFill: 1,
    fillIntervalMs: 1,
    per: 'route',
    status: 429,
    origin: { kind: 'MeshPolicy', name: 'p', path: '' },
  }
  const abort: FilterSpec = { kind: 'fault-abort', share: 1, status: 500 }

  it('stand as the snapshot has them, the answer of the action behind them', () => {
    const action = { kind: 'direct', status: 200, body: 'x', contentType: 'text/plain' } as const
    expect(filtersOf({ action, filters: [limit, abort] }).map(({ kind }) => kind)).to.deep.equal([
      'rate-limit',
      'fault-abort',
      'direct',
    ])
    expect(filtersOf({ filters: [abort, limit] }).map(({ kind }) => kind)).to.deep.equal(['fault-abort', 'rate-limit'])
  })

  it('of a kind that this worker does not know are no reason to let requests pass: the snapshot is refused', () => {
    const strange = { kind: 'strange' } as unknown as FilterSpec
    expect(() => filtersOf({ filters: [strange] })).to.throw('no filter strange is known')
  })

  it('of raw connections take tokens, and count', () => {
    const tcp = [{ name: 't', origin: limit.origin, matches: [], destinations: [], filters: [limit] }]
    const verdicts = new VerdictCounts(allFilterKinds())
    const host = compiled(hostSpec([], { tcp }), undefined, new RouteIds(), 1, verdicts)
    const [filter] = host.tcpRoutes[0]!.filters
    const about = { view: connection(), peer: noIdentity, now: 0, random: () => 0, note: () => {} }
    const verdictsOf = [0, 0, 5].map((now) => askAboutConnection(filter!, { ...about, now }))
    expect(verdictsOf).to.deep.equal([null, { kind: 'answer', flag: 'RL' }, null])
    expect(verdicts.samples()).to.deep.equal([
      { labels: ['rate-limit', 'continue'], value: 2 },
      { labels: ['rate-limit', 'answer'], value: 1 },
    ])
    const next = compiled(hostSpec([], { tcp }), host, new RouteIds(), 1, verdicts)
    const refused = askAboutConnection(next.tcpRoutes[0]!.filters[0]!, { ...about, now: 5 })
    expect(refused, 'a changed rule keeps the bucket').to.deep.equal({ kind: 'answer', flag: 'RL' })
  })
})

describe('verdicts', () => {
  const delay: FilterSpec = { kind: 'fault-delay', share: 0.5, fixedMs: 5 }
  const abort: FilterSpec = { kind: 'fault-abort', share: 1, status: 418 }
  const routes = [route('a', [], { filters: [delay, abort] }), route('b', [], { filters: [delay] })]

  function counted(draws: readonly number[]): VerdictCounts {
    const verdicts = new VerdictCounts(allFilterKinds())
    const host = compiled(hostSpec(routes), undefined, new RouteIds(), 1, verdicts)
    for (const draw of draws) {
      for (const { filters } of host.routes) {
        for (const filter of filters)
          ask(
            filter,
            context(request(), 0, () => draw),
          )
      }
    }
    return verdicts
  }

  it('are counted by kind of filter, over all routes; what did not happen is not shown', () => {
    expect(counted([0.2, 0.7, 0.8]).samples()).to.deep.equal([
      { labels: ['fault-delay', 'continue'], value: 4 },
      { labels: ['fault-delay', 'wait'], value: 2 },
      { labels: ['fault-abort', 'answer'], value: 3 },
    ])
  })

  it('go to the next generation, which tolerates anything', () => {
    const next = counted([0.2])
    next.importState(JSON.parse(JSON.stringify(counted([0.2, 0.7]).exportState())))
    for (const state of [null, 1, [], { nobody: [1, 1, 1] }, { cors: 'x' }, { cors: [NaN, 'x', null] }])
      next.importState(state)
    expect(next.samples()).to.deep.equal([
      { labels: ['fault-delay', 'continue'], value: 2 },
      { labels: ['fault-delay', 'wait'], value: 4 },
      { labels: ['fault-abort', 'answer'], value: 3 },
    ])
    next.reset()
    expect(next.samples()).to.deep.equal([])
  })
})
