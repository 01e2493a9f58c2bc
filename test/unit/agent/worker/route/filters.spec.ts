import { expect } from 'chai'
import { seededRandom } from '../../../../support/seeded-random.ts'
import { corsFilters } from '../../../../../agent/worker/route/cors.ts'
import { noFilterCounts } from '../../../../../agent/worker/route/filter-counts.ts'
import { faultFilters } from '../../../../../agent/worker/route/fault.ts'
import { chooseMirrors, compileMirrors } from '../../../../../agent/worker/route/mirror.ts'
import { compileRetry } from '../../../../../agent/worker/route/retry-policy.ts'
import type { Answer } from '../../../../../agent/worker/route/types.ts'
import type { CorsSpec, RetryCondition, RuleOrigin } from '../../../../../contracts/route-spec.ts'
import { context, key, request } from '../../../../support/routing.ts'

const origin: RuleOrigin = { kind: 'VirtualService', name: 'public/orders', path: 'spec.http[0]' }

describe('a fault', () => {
  it('delays its share of the requests, drawn anew each time', () => {
    const [filter] = faultFilters({ delay: { share: 0.3, fixedMs: 250 } }, origin, noFilterCounts())
    const random = seededRandom(3)
    let delayed = 0
    for (let i = 0; i < 10_000; i++) {
      const verdict = filter!.onRequest(context(request(), 0, random))
      if (verdict !== null) {
        expect(verdict).to.deep.equal({ kind: 'delay', ms: 250 })
        delayed++
      }
    }
    expect(delayed / 10_000).to.be.closeTo(0.3, 3 * Math.sqrt(0.21 / 10_000))
  })

  it('aborts with its status, code and flag, and says which rule did it', () => {
    const [filter] = faultFilters({ abort: { share: 1, status: 418 } }, origin, noFilterCounts())
    const reply = filter!.onRequest(context(request())) as Answer
    expect(reply).to.include({ kind: 'answer', status: 418, code: 'E_FAULT_INJECTED', flag: 'FI' })
    expect(reply.body.toString()).to.equal('fault injected by VirtualService public/orders spec.http[0].fault\n')
  })

  it('of 0 % never happens, of 100 % always', () => {
    for (const draw of [0, 0.5, 0.999999]) {
      const [never, always] = [0, 1].map(
        (share) => faultFilters({ abort: { share, status: 500 } }, origin, noFilterCounts())[0]!,
      )
      expect(never!.onRequest(context(request(), 0, () => draw))).to.equal(null)
      expect(always!.onRequest(context(request(), 0, () => draw))).not.to.equal(null)
    }
  })

  it('of both kinds delays before it aborts, and draws for each', () => {
    const filters = faultFilters(
      { delay: { share: 1, fixedMs: 1 }, abort: { share: 1, status: 500 } },
      origin,
      noFilterCounts(),
    )
    expect(filters.map((filter) => filter.name)).to.deep.equal(['fault-delay', 'fault-abort'])
    expect(faultFilters(undefined, origin, noFilterCounts())).to.deep.equal([])
  })
})

describe('a CORS policy', () => {
  const spec: CorsSpec = {
    allowOrigins: [{ exact: 'https://a.example.com' }, { regex: 'https://[a-z]+\\.shop\\.com' }],
    allowMethods: ['GET', 'POST'],
    allowHeaders: ['x-a', 'x-b'],
    exposeHeaders: ['x-c'],
    maxAgeMs: 90_500,
    allowCredentials: true,
  }
  const preflight = (origin: string) =>
    context(request({ method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'PUT' } }))

  it('answers a preflight of an allowed origin', () => {
    const reply = corsFilters(spec, noFilterCounts()).request.onRequest(preflight('https://de.shop.com')) as Answer
    expect(reply).to.include({ status: 200, code: undefined, flag: '-' })
    expect(reply.fields).to.deep.equal([
      ['access-control-allow-origin', 'https://de.shop.com'],
      ['vary', 'origin'],
      ['access-control-allow-credentials', 'true'],
      ['access-control-allow-methods', 'GET,POST'],
      ['access-control-allow-headers', 'x-a,x-b'],
      ['access-control-max-age', '90'],
    ])
  })

  it('lets a preflight of another origin pass, or answers it without permission where the rule says so', () => {
    expect(corsFilters(spec, noFilterCounts()).request.onRequest(preflight('https://evil.com'))).to.equal(null)
    const reply = corsFilters({ ...spec, forwardUnmatchedPreflights: false }, noFilterCounts()).request.onRequest(
      preflight('https://evil.com'),
    )
    expect(reply).to.deep.include({ status: 200, fields: [['vary', 'origin']] })
  })

  it('is no business of requests that are no preflight', () => {
    const filter = corsFilters(spec, noFilterCounts()).request
    expect(
      filter.onRequest(context(request({ method: 'OPTIONS', headers: { origin: 'https://a.example.com' } }))),
    ).to.equal(null)
    expect(filter.onRequest(context(request({ headers: { origin: 'https://a.example.com' } })))).to.equal(null)
  })

  it('adds nothing to the preflights that it answers itself, and its word to those that pass', () => {
    const ignoring = corsFilters({ ...spec, forwardUnmatchedPreflights: false }, noFilterCounts()).response
    expect(corsFilters(spec, noFilterCounts()).response.onResponse(preflight('https://de.shop.com'), 200)).to.equal(
      null,
    )
    expect(ignoring.onResponse(preflight('https://evil.com'), 200)).to.equal(null)
    expect(
      corsFilters(spec, noFilterCounts()).response.onResponse(preflight('https://evil.com'), 200)!.fields,
    ).to.deep.equal([['vary', 'origin']])
  })

  it('replaces the fields of the application on responses, for allowed origins only', () => {
    const { response } = corsFilters(spec, noFilterCounts())
    const allowed = context(request({ headers: { origin: 'https://a.example.com' } }))
    const edits = response.onResponse(allowed, 200)!
    expect(edits.fields).to.deep.equal([
      ['access-control-allow-origin', 'https://a.example.com'],
      ['vary', 'origin'],
      ['access-control-allow-credentials', 'true'],
      ['access-control-expose-headers', 'x-c'],
    ])
    expect(response.onResponse(allowed, 200), 'the same object, so that a codec writes it once').to.equal(edits)
    expect([...edits.drop]).to.include('access-control-allow-origin')
    for (const headers of [{ origin: 'https://evil.com' }, {}]) {
      const toOthers = response.onResponse(context(request({ headers })), 200)!
      expect(toOthers.fields).to.deep.equal([['vary', 'origin']])
      expect([...toOthers.drop]).to.include('access-control-allow-origin')
    }
  })

  it('keeps the fields of a bounded number of origins, and answers every one of them right', () => {
    const { response } = corsFilters(spec, noFilterCounts())
    const letters = 'abcdefghijklmnopqrstuvwxyz'
    for (let i = 0; i < 600; i++) {
      const origin = `https://${letters[i % 26]}${letters[Math.floor(i / 26)]}.shop.com`
      expect(response.onResponse(context(request({ headers: { origin } })), 200)!.fields[0]![1]).to.equal(origin)
    }
  })
})

describe('mirrors', () => {
  const mirrors = compileMirrors([
    { destination: { service: key('always'), weight: 1 }, share: 1 },
    { destination: { service: key('half'), weight: 1 }, share: 0.5 },
    { destination: { service: key('never'), weight: 1 }, share: 0 },
  ])

  it('are drawn one by one, by their share', () => {
    const random = seededRandom(5)
    const counts: Record<string, number> = {}
    for (let i = 0; i < 4000; i++) {
      chooseMirrors({ mirrors }, random, ({ spec }) => (counts[spec.service] = (counts[spec.service] ?? 0) + 1))
    }
    expect(counts[key('always')]).to.equal(4000)
    expect(counts[key('half')]! / 4000).to.be.closeTo(0.5, 3 * Math.sqrt(0.25 / 4000))
    expect(counts[key('never')]).to.equal(undefined)
  })

  it('cost no draw where there are none', () => {
    chooseMirrors(
      { mirrors: compileMirrors(undefined) },
      () => expect.fail('a draw'),
      () => expect.fail('a mirror'),
    )
  })
})

describe('a retry policy', () => {
  const policy = (on: RetryCondition[], statuses: number[] = []) =>
    compileRetry({ attempts: 2, perTryTimeoutMs: 0, on, statuses, backoffMs: 25 })!
  const statusesOf = (on: RetryCondition[], statuses: number[] = []): number[] =>
    [200, 404, 409, 429, 500, 501, 502, 503, 504, 599].filter((status) => policy(on, statuses).onStatus(status))

  it('reads statuses as Envoy does', () => {
    expect(statusesOf(['5xx'])).to.deep.equal([500, 501, 502, 503, 504, 599])
    expect(statusesOf(['gateway-error'])).to.deep.equal([502, 503, 504])
    expect(statusesOf(['retriable-4xx'])).to.deep.equal([409])
    expect(statusesOf(['retriable-status-codes'], [404, 503])).to.deep.equal([404, 503])
    expect(statusesOf(['connect-failure', 'reset', 'refused-stream', 'unavailable'], [503])).to.deep.equal([])
    expect(policy(['5xx']).onStatus(99_999)).to.equal(false)
    expect(policy(['5xx']).onStatus(-1)).to.equal(false)
  })

  it('reads failures before a response head as Envoy does', () => {
    const failures = (...on: RetryCondition[]): boolean[] => {
      const { onConnectFailure, onReset, onResetBeforeRequest } = policy(on)
      return [onConnectFailure, onReset, onResetBeforeRequest]
    }
    expect(failures('connect-failure')).to.deep.equal([true, false, false])
    expect(failures('reset')).to.deep.equal([false, true, true])
    expect(failures('reset-before-request')).to.deep.equal([false, false, true])
    expect(failures('refused-stream')).to.deep.equal([false, false, true])
    expect(failures('5xx')).to.deep.equal([true, true, true])
    expect(failures('gateway-error')).to.deep.equal([true, true, true])
    expect(failures('retriable-4xx')).to.deep.equal([false, false, false])
  })

  it('is none without attempts', () => {
    expect(compileRetry(undefined)).to.equal(null)
    expect(compileRetry({ attempts: 0, perTryTimeoutMs: 0, on: ['5xx'], statuses: [], backoffMs: 1 })).to.equal(null)
  })
})
