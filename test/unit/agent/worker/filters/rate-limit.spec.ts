import { expect } from 'chai'
import { noFilterCounts } from '../../../../../agent/worker/filters/filter-counts.ts'
import { exportFilters, importFilters } from '../../../../../agent/worker/route/filter-state.ts'
import { maxSourceApps, RateLimiter } from '../../../../../agent/worker/filters/rate-limit.ts'
import { TokenBucket } from '../../../../../agent/worker/filters/token-bucket.ts'
import type { Answer } from '../../../../../agent/worker/filters/answer.ts'
import type { VirtualHost } from '../../../../../agent/worker/route/types.ts'
import type { RateLimitSpec } from '../../../../../contracts/route-spec.ts'
import { app, compiled, context, hostSpec, key, request, route } from '../../../../support/routing.ts'

const limit: RateLimitSpec = {
  name: 'burst',
  maxTokens: 5,
  tokensPerFill: 1,
  fillIntervalMs: 100,
  per: 'route',
  status: 429,
  origin: { kind: 'MeshPolicy', name: 'public/orders', path: 'spec.rateLimits[0]' },
}

/** How many of `count` requests pass at `now`. */
function passed(limiter: RateLimiter, count: number, now: number, source?: string): number {
  const view = request(source === undefined ? {} : { source: app(source) })
  let good = 0
  for (let i = 0; i < count; i++) if (limiter.onRequest(context(view, now)) === null) good++
  return good
}

describe('a token bucket', () => {
  const rate = { maxTokens: 10, tokensPerFill: 2, fillIntervalMs: 1000 }

  it('starts full, empties, and fills by the time that passed, up to its size', () => {
    const bucket = new TokenBucket(rate, 0)
    for (let i = 0; i < 10; i++) expect(bucket.take(0)).to.equal(true)
    expect(bucket.take(0)).to.equal(false)
    expect(bucket.waitMs(0)).to.equal(500)
    expect(bucket.take(499)).to.equal(false)
    expect(bucket.take(500)).to.equal(true)
    expect(bucket.tokens(1_000_000)).to.equal(10)
  })

  it('adds nothing when the clock steps back', () => {
    const bucket = new TokenBucket(rate, 1000, 0)
    expect(bucket.tokens(0)).to.equal(0)
    expect(bucket.tokens(1500)).to.equal(1)
  })

  it('keeps what was used up when its rate changes', () => {
    const bucket = new TokenBucket(rate, 0)
    for (let i = 0; i < 4; i++) bucket.take(0)
    bucket.setRate({ ...rate, maxTokens: 20 }, 0)
    expect(bucket.tokens(0)).to.equal(16)
    bucket.setRate({ ...rate, maxTokens: 3 }, 0)
    expect(bucket.tokens(0)).to.equal(0)
  })
})

describe('a rate limit', () => {
  it('lets the burst pass, then what is filled', () => {
    const limiter = new RateLimiter('id', limit, 1, noFilterCounts())
    expect(passed(limiter, 20, 0)).to.equal(5)
    expect(passed(limiter, 20, 250)).to.equal(2)
    expect(passed(limiter, 20, 10_000)).to.equal(5)
  })

  it('refuses with its status, code, flag and the time to wait', () => {
    const limiter = new RateLimiter(
      'id',
      { ...limit, maxTokens: 1, fillIntervalMs: 2500, status: 503 },
      1,
      noFilterCounts(),
    )
    passed(limiter, 1, 0)
    const reply = limiter.onRequest(context(request(), 0)) as Answer
    expect(reply).to.include({ status: 503, code: 'E_RATE_LIMITED', flag: 'RL' })
    expect(reply.fields).to.deep.equal([
      ['content-type', 'text/plain'],
      ['retry-after', '3'],
    ])
    expect(reply.body.toString()).to.equal('rate limit burst of MeshPolicy public/orders is reached\n')
    expect(limiter.onRequest(context(request(), 100)), 'the same wait, the same answer').to.equal(reply)
    const later = limiter.onRequest(context(request(), 900)) as Answer
    expect(later.fields[1]).to.deep.equal(['retry-after', '2'])
    limiter.update({ ...limit, maxTokens: 1, fillIntervalMs: 2500, status: 429 }, 1, 900)
    expect((limiter.onRequest(context(request(), 900)) as Answer).status, 'the new figures').to.equal(429)
  })

  it('per calling application has a bucket for each, and one for all unknown callers', () => {
    const limiter = new RateLimiter('id', { ...limit, per: 'source-app' }, 1, noFilterCounts())
    expect(passed(limiter, 20, 0, 'a')).to.equal(5)
    expect(passed(limiter, 20, 0, 'b')).to.equal(5)
    expect(passed(limiter, 20, 0)).to.equal(5)
    expect(passed(limiter, 20, 0, 'a')).to.equal(0)
  })

  it('believes the name in x-mesh-source only where it comes from an agent', () => {
    const call = (limiter: RateLimiter, name: string): boolean =>
      limiter.onRequest(context(request({ headers: { 'x-mesh-source': name } }), 0)) === null
    const spec: RateLimitSpec = { ...limit, maxTokens: 1, per: 'source-app' }
    const inbound = new RateLimiter('id', { ...spec, bySourceHeader: true }, 1, noFilterCounts())
    expect([call(inbound, 'a'), call(inbound, 'a'), call(inbound, 'b')]).to.deep.equal([true, false, true])
    const outbound = new RateLimiter('id', spec, 1, noFilterCounts())
    expect([call(outbound, 'a'), call(outbound, 'b')]).to.deep.equal([true, false])
  })

  it('forgets the application that has not called for longest when there are too many', () => {
    const counts = noFilterCounts()
    const limiter = new RateLimiter('id', { ...limit, per: 'source-app' }, 1, counts)
    for (let i = 0; i < maxSourceApps; i++) passed(limiter, 5, 0, `app-${i}`)
    expect(passed(limiter, 1, 0, 'app-0'), 'empty, but used again').to.equal(0)
    passed(limiter, 1, 0, 'one more')
    expect(limiter.trackedApps).to.equal(maxSourceApps)
    expect(passed(limiter, 1, 0, 'app-0'), 'still remembered').to.equal(0)
    expect(passed(limiter, 1, 0, 'app-1'), 'forgotten').to.equal(1)
    expect(counts.forgottenCallers, 'one for each that came when it was full').to.equal(2)
    expect(counts.rateLimited).to.equal(2)
  })

  it('is shared by the workers of a host', () => {
    const halves = [
      new RateLimiter('id', { ...limit, maxTokens: 10 }, 0.5, noFilterCounts()),
      new RateLimiter('id', { ...limit, maxTokens: 10 }, 0.5, noFilterCounts()),
    ]
    expect(halves.map((half) => passed(half, 20, 0))).to.deep.equal([5, 5])
    expect(halves.map((half) => passed(half, 20, 400))).to.deep.equal([2, 2])
  })

  it('of less than one token per worker still lets something pass', () => {
    expect(passed(new RateLimiter('id', { ...limit, maxTokens: 1 }, 0.1, noFilterCounts()), 5, 0)).to.equal(1)
  })
})

describe('buckets', () => {
  const limited = (spec: RateLimitSpec, former?: VirtualHost) =>
    compiled(
      hostSpec([
        route('a', [], { filters: [{ kind: 'rate-limit', ...spec }] }),
        route('b', [], { filters: [{ kind: 'rate-limit', ...spec }] }),
      ]),
      former,
    )
  const take = (host: VirtualHost, index: number, count: number, now = 0): number =>
    passed(host.routes[index]!.filters[0]!.filter as RateLimiter, count, now)

  it('belong to their route', () => {
    const host = limited(limit)
    expect([take(host, 0, 9), take(host, 1, 9)]).to.deep.equal([5, 5])
  })

  it('stay over a change of the rule', () => {
    const before = limited(limit)
    take(before, 0, 4)
    const after = limited({ ...limit, maxTokens: 10 }, before)
    expect([take(after, 0, 20), take(after, 1, 20)]).to.deep.equal([6, 10])
  })

  it('begin anew when the limit counts by something else', () => {
    const before = limited(limit)
    take(before, 0, 5)
    expect(take(limited({ ...limit, per: 'source-app' }, before), 0, 20)).to.equal(5)
  })

  it('go to the next generation, whose clock is another one', () => {
    const before = limited(limit)
    take(before, 0, 5, 1000)
    take(before, 1, 2, 1000)
    const state: unknown = JSON.parse(JSON.stringify(exportFilters([before], 1100)))
    const after = limited(limit)
    importFilters([after], state, 50)
    expect([take(after, 0, 20, 50), take(after, 1, 20, 50)]).to.deep.equal([1, 4])
  })

  it('tolerate any imported state', () => {
    const id = `${hostSpec([]).name}\na\nburst`
    const states = [
      null,
      1,
      [],
      { [id]: null },
      { [id]: 'x' },
      { [id]: { '': 'full' } },
      { [id]: { '': NaN } },
      { [key('x')]: {} },
    ]
    for (const state of states) {
      const host = limited(limit)
      importFilters([host], state, 0)
      expect(take(host, 0, 20), JSON.stringify(state)).to.equal(5)
    }
    const host = limited(limit)
    importFilters([host], { [id]: { '': 1e9 } }, 0)
    expect(take(host, 0, 20), 'never more than the bucket holds').to.equal(5)
    importFilters([host], { [id]: { '': -5 } }, 0)
    expect(take(host, 0, 20)).to.equal(0)
  })
})
