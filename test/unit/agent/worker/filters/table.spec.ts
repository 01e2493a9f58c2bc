import { expect } from 'chai'
import { ask } from '../../../../../agent/worker/filters/filter.ts'
import { filterKinds } from '../../../../../agent/worker/filters/table.ts'
import { VerdictCounts } from '../../../../../agent/worker/filters/verdict-counts.ts'
import { RouteIds } from '../../../../../agent/worker/route/route-ids.ts'
import { compiled, context, hostSpec, request, route, virtualHost } from '../../../../support/routing.ts'

describe('filters', () => {
  it('stand in the order CORS, fault, rate limit, answer', () => {
    const { filters } = virtualHost([
      route('a', [], {
        action: { kind: 'direct', status: 200, body: 'x', contentType: 'text/plain' },
        fault: { delay: { share: 1, fixedMs: 1 }, abort: { share: 1, status: 500 } },
        cors: { allowOrigins: [], allowMethods: [], allowHeaders: [], exposeHeaders: [], allowCredentials: false },
        rateLimits: [
          {
            name: 'l',
            maxTokens: 1,
            tokensPerFill: 1,
            fillIntervalMs: 1,
            per: 'route',
            status: 429,
            origin: { kind: 'MeshPolicy', name: 'p', path: '' },
          },
        ],
      }),
    ]).routes[0]!
    expect(filters.map(({ filter }) => filter.kind)).to.deep.equal([
      'cors',
      'fault-delay',
      'fault-abort',
      'rate-limit',
      'direct-response',
    ])
  })
})

describe('verdicts', () => {
  const routes = [
    route('a', [], { fault: { delay: { share: 0.5, fixedMs: 5 }, abort: { share: 1, status: 418 } } }),
    route('b', [], { fault: { delay: { share: 0.5, fixedMs: 5 } } }),
  ]

  function counted(draws: readonly number[]): VerdictCounts {
    const verdicts = new VerdictCounts(filterKinds)
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
