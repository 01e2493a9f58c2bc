import { expect } from 'chai'
import { Counters } from '../../../../global-mesh-center/rate-limits/counters.ts'
import { RateLimiter } from '../../../../global-mesh-center/rate-limits/rate-limiter.ts'
import { rateLimitsSection } from '../../../../global-mesh-center/rate-limits/section.ts'
import { manualClock, type ManualClock } from '../../../support/manual-clock.ts'

const entries = (...pairs: readonly (readonly [string, string])[]) => ({
  entries: pairs.map(([key, value]) => ({ key, value })),
})
const perMinute = (requests_per_unit: number) => ({ unit: 'minute', requests_per_unit })

describe('limits that hosts share, counted by a center', () => {
  let clock: ManualClock
  const counts = new Map<string, number>()
  const metrics = {
    count: (name: string, labels: object, by = 1) => {
      const key = `${name} ${Object.values(labels).join(' ')}`.trim()
      counts.set(key, (counts.get(key) ?? 0) + by)
    },
    gauge: (name: string, _labels: object, value: number) => void counts.set(name, value),
    observe: () => undefined,
  }
  beforeEach(() => {
    clock = manualClock()
    counts.clear()
  })

  function limiter(descriptors: readonly object[], maxCounters = 1000): RateLimiter {
    const section = rateLimitsSection.parse({ domains: [{ domain: 'shop', descriptors }], maxCounters })
    return new RateLimiter(section, { clock, metrics })
  }
  const judged = (one: RateLimiter, ...descriptors: readonly ReturnType<typeof entries>[]) =>
    one.judge({ domain: 'shop', descriptors, hitsAddend: 1 }, 'a')

  it('lets as many pass as it says in a window, and again in the next', () => {
    const one = limiter([{ key: 'user', rate_limit: { ...perMinute(2), name: 'per user' } }])
    const ann = entries(['user', 'ann'])
    const [first] = judged(one, ann).statuses
    expect(first!.limit).to.include({ requestsPerUnit: 2, unit: 'minute', name: 'per user' })
    expect(first!.remaining).to.equal(1)
    expect(first!.resetMs).to.be.within(1, 60_000)
    expect(judged(one, ann).code).to.equal('ok')
    expect(judged(one, ann)).to.deep.include({ code: 'over-limit' })
    expect(judged(one, entries(['user', 'ben'])).code, 'another counter').to.equal('ok')
    clock.advance(first!.resetMs)
    expect(judged(one, ann).code).to.equal('ok')
    expect(counts.get('ratelimit_questions shop ok')).to.equal(4)
    expect(counts.get('ratelimit_questions shop over_limit')).to.equal(1)
  })

  it('takes the most exact descriptor, and a limit only at the last entry', () => {
    const one = limiter([
      { key: 'user', value: 'ann', rate_limit: perMinute(7) },
      {
        key: 'user',
        rate_limit: perMinute(5),
        descriptors: [{ key: 'path', value: '/a', rate_limit: perMinute(3) }, { key: 'zone' }],
      },
    ])
    const limitOf = (...pairs: readonly (readonly [string, string])[]) =>
      judged(one, entries(...pairs)).statuses[0]!.limit?.requestsPerUnit
    expect(limitOf(['user', 'ann'])).to.equal(7)
    expect(limitOf(['user', 'ben'])).to.equal(5)
    expect(limitOf(['user', 'ben'], ['path', '/a'])).to.equal(3)
    expect(limitOf(['user', 'ben'], ['path', '/b']), 'no such path').to.equal(undefined)
    expect(limitOf(['user', 'ben'], ['zone', 'z']), 'no limit there').to.equal(undefined)
    expect(limitOf(['other', 'x'])).to.equal(undefined)
    expect(one.judge({ domain: 'none', descriptors: [entries(['user', 'a'])], hitsAddend: 1 }, 'a').code).to.equal('ok')
    expect(counts.get('ratelimit_questions other ok')).to.equal(1)
  })

  it('counts every descriptor of a question, whatever the others come to', () => {
    const one = limiter([
      { key: 'a', rate_limit: perMinute(0) },
      { key: 'b', rate_limit: perMinute(9) },
    ])
    judged(one, entries(['a', '1']), entries(['b', '1']))
    const { code, statuses } = judged(one, entries(['a', '1']), entries(['b', '1']))
    expect(code).to.equal('over-limit')
    expect(statuses.map((status) => [status.code, status.remaining])).to.deep.equal([
      ['over-limit', 0],
      ['ok', 7],
    ])
  })

  it('adds as many hits as it is told, for a descriptor or for all', () => {
    const one = limiter([{ key: 'a', rate_limit: perMinute(10) }])
    const a = entries(['a', '1'])
    const remaining = (descriptor: object, hitsAddend: number) =>
      one.judge({ domain: 'shop', descriptors: [descriptor as typeof a], hitsAddend }, 'a').statuses[0]!.remaining
    expect(remaining(a, 4)).to.equal(6)
    expect(remaining({ ...a, hitsAddend: 2 }, 4)).to.equal(4)
    expect(remaining({ ...a, hitsAddend: 0 }, 4), 'a look').to.equal(4)
    expect(remaining(a, 0xff_ff_ff_ff)).to.equal(0)
  })

  it('lets pass what is unlimited or a shadow, which it counts', () => {
    const one = limiter([
      { key: 'a', rate_limit: { unlimited: true } },
      { key: 'b', rate_limit: perMinute(0), shadow_mode: true },
    ])
    expect(judged(one, entries(['a', '1'])).statuses[0]).to.include({ code: 'ok', remaining: 0xff_ff_ff_ff })
    expect(judged(one, entries(['b', '1'])).code).to.equal('ok')
    expect(counts.get('ratelimit_shadowed shop')).to.equal(1)
  })

  it('keeps so many counters at most, and no flood of keys makes it forget those of another limit', () => {
    const one = limiter([
      { key: 'user', rate_limit: perMinute(1) },
      { key: 'all', value: 'x', rate_limit: perMinute(1) },
      { key: 'address', rate_limit: perMinute(1) },
    ])
    judged(one, entries(['all', 'x']))
    judged(one, entries(['address', '10.0.0.1']))
    for (let at = 0; at < 20_000; at++) judged(one, entries(['user', `u${at}`]))
    expect(judged(one, entries(['all', 'x'])).code).to.equal('over-limit')
    expect(judged(one, entries(['address', '10.0.0.1'])).code).to.equal('over-limit')
    expect(judged(one, entries(['user', 'u19999'])).code, 'the last ones').to.equal('over-limit')
    expect(judged(one, entries(['user', 'u0'])).code, 'forgotten').to.equal('ok')
    clock.advance(1000)
    // 500 of each of the two limits without a value at most
    expect(counts.get('ratelimit_counters')).to.be.within(252, 502)
    expect(counts.get('ratelimit_counters')! + counts.get('ratelimit_counters_forgotten')!).to.equal(20_003)
  })

  it('keeps as many after a million keys', () => {
    const counters = new Counters(1000)
    for (let at = 0; at < 1_000_000; at++) counters.add(`k${at}`, 1, 1000, 0)
    expect(counters.size).to.be.within(500, 1000)
    expect(counters.add('k999999', 1, 1000, 0)).to.equal(2)
  }).timeout(30_000)

  it('keeps no long key, and tells long keys apart', () => {
    const one = limiter([{ key: 'user', rate_limit: perMinute(1) }])
    const long = 'x'.repeat(100_000)
    judged(one, entries(['user', `${long}1`]))
    expect(judged(one, entries(['user', `${long}2`])).code).to.equal('ok')
    expect(judged(one, entries(['user', `${long}1`])).code).to.equal('over-limit')
  })

  it('knows how many hosts asked within the last minute', () => {
    const one = limiter([{ key: 'a', rate_limit: perMinute(9) }])
    const hosts = (host: string, domain = 'shop') =>
      one.judge({ domain, descriptors: [entries(['a', '1'])], hitsAddend: 1 }, host).hosts
    expect([hosts('a'), hosts('b'), hosts('a'), hosts('c')]).to.deep.equal([1, 2, 2, 3])
    expect(hosts('a', 'none'), 'a domain that it does not know').to.equal(undefined)
    clock.advance(59_000)
    expect(hosts('a')).to.equal(3)
    clock.advance(2000)
    expect(hosts('a')).to.equal(1)
    for (let at = 0; at < 20_000; at++) hosts(`flood ${at}`)
    expect(hosts('a')).to.equal(10_000)
  })

  it('goes on counting when the clock is set back a little, and is not stuck when it was far ahead', () => {
    const one = limiter([{ key: 'a', rate_limit: perMinute(1) }])
    const a = entries(['a', '1'])
    clock.jump(60_000)
    judged(one, a)
    clock.jump(-60_000)
    expect(judged(one, a).code).to.equal('over-limit')
    clock.jump(-86_400_000)
    expect(judged(one, a).code).to.equal('ok')
  })

  it('refuses a question without a descriptor, and one with too much', () => {
    const one = limiter([])
    const descriptor = entries(['a', 'b'])
    const asking =
      (descriptors: readonly (typeof descriptor)[], domain = 'shop') =>
      () =>
        one.judge({ domain, descriptors, hitsAddend: 1 }, 'a')
    expect(asking([])).to.throw(RangeError, 'a question has')
    expect(asking([descriptor], '')).to.throw(RangeError, 'a question has')
    expect(asking(Array.from({ length: 101 }, () => descriptor))).to.throw(RangeError, 'more than 100')
    const many = entries(...Array.from({ length: 65 }, () => ['a', 'b'] as const))
    expect(asking([many])).to.throw(RangeError, '64 entries')
  })
})

describe('the section of shared limits', () => {
  const problems = (value: unknown): string[] => {
    const parsed = rateLimitsSection.safeParse(value)
    return parsed.success ? [] : parsed.error.issues.map(({ message, path }) => `${path.join('.')}: ${message}`)
  }
  const domain = (...descriptors: readonly object[]) => ({ domains: [{ domain: 'shop', descriptors }] })

  it('says where a descriptor is wrong', () => {
    const second = { unit: 'second', requests_per_unit: 1 }
    expect(problems(domain({ key: 'a', rate_limit: second }))).to.deep.equal([])
    const cases: readonly [unknown, RegExp][] = [
      [domain({ value: 'a' }), /^domains\.0\.descriptors\.0\.key: /],
      [domain({ key: 'a', rate_limit: { unit: 'second' } }), /rate_limit: allowed unit and requests_per_unit together/],
      [domain({ key: 'a', rate_limit: { ...second, unlimited: true } }), /rate_limit: allowed unit/],
      [domain({ key: 'a', rate_limit: { ...second, unit: 'fortnight' } }), /rate_limit\.unit: /],
      [domain({ key: 'a', rate_limit: { ...second, requests_per_unit: -1 } }), /requests_per_unit: /],
      [domain({ key: 'a', descriptors: [{ key: 'b', replaces: [] }] }), /descriptors\.0\.descriptors\.0: .*replaces/],
      [domain({ key: 'a', value: 'b*' }), /value: a \* at the end/],
      [domain({ key: 'a' }, { key: 'a' }), /descriptors\.1\.key: there before/],
      [{ domains: [{ domain: 'a' }, { domain: 'a' }] }, /domains\.1\.domain: there before/],
      [{ domains: 'shop' }, /^domains: /],
      [{}, /^domains: /],
    ]
    for (const [value, problem] of cases) expect(problems(value).join('\n')).to.match(problem)
  })

  it('bounds depth and number of descriptors', () => {
    let deep: object = { key: 'a' }
    for (let at = 0; at < 10; at++) deep = { key: 'a', descriptors: [deep] }
    expect(problems(domain(deep)).join('\n')).to.contain('more than 10 descriptors inside one another')
    const many = Array.from({ length: 6000 }, (_one, at) => ({ key: `k${at}` }))
    const two = ['a', 'b'].map((name) => ({ domain: name, descriptors: many }))
    expect(problems({ domains: two }).join('\n')).to.contain('found 12000 descriptors, allowed 10000')
  })
})
