import { expect } from 'chai'
import { Outcome } from '../../../../../agent/worker/balance/types.ts'
import { attempt, cluster, endpoint, endpoints, endpointSet, outlierOf, stateOf } from '../../../../support/balance.ts'

describe('dump of a cluster', () => {
  it('shows each endpoint with its standing in words and its numbers', () => {
    const shown = cluster({
      endpoints: [
        endpoint('10.0.0.1', { version: 'v1', zone: 'z1', weight: 2 }),
        endpoint('10.0.0.2', { enabled: false }),
        endpoint('10.0.0.3', { weight: 0 }),
        endpoint('10.0.0.4', { healthy: false }),
        endpoint('10.0.0.5'),
      ],
      policy: { outlier: outlierOf({ consecutive5xx: 1 }) },
    })
    attempt(shown, stateOf(shown, '10.0.0.1'), Outcome.ok, { latencyMs: 12 })
    shown.beginAttempt(stateOf(shown, '10.0.0.1'), 0)
    attempt(shown, stateOf(shown, '10.0.0.5'), Outcome.serverError, { status: 503, now: 1000 })
    const dump = shown.dump(2000)
    expect(dump.endpoints.map((row) => row.state)).to.deep.equal([
      'healthy',
      'disabled',
      'weight 0',
      'unhealthy',
      'ejected for another 29.0 s: 5xx in a row',
    ])
    expect(dump.endpoints[0]).to.deep.equal({
      endpoint: '10.0.0.1:80',
      weight: 2,
      healthy: true,
      state: 'healthy',
      activeRequests: 1,
      requests: 1,
      failures: 0,
      latencyMs: 12,
      version: 'v1',
      zone: 'z1',
    })
    expect(dump).to.include({ service: 'public/DEFAULT_GROUP@@orders', breaker: 'off', connections: 0 })
  })
})

describe('candidates of a cluster', () => {
  const reasons = (shown: ReturnType<typeof cluster>, now = 0): Record<string, string> =>
    Object.fromEntries(
      shown.candidates(now).map((row) => [row.endpoint, `${row.usable ? 'yes' : 'no'}: ${row.reason}`]),
    )

  it('name for every endpoint of the service why it is used or left out', () => {
    const own = { region: 'bj', zone: 'bj-1' }
    const near = { ...own, version: 'v2' }
    const shown = cluster({
      own,
      subset: 'v2',
      labels: { version: 'v2' },
      port: 80,
      endpoints: [
        endpoint('10.0.0.1', near),
        endpoint('10.0.0.2', { ...near, version: 'v1' }),
        endpoint('10.0.0.3', { ...near, port: 81 }),
        endpoint('10.0.0.4', { ...near, zone: 'bj-2' }),
        endpoint('10.0.0.5', { ...near, healthy: false }),
        endpoint('10.0.0.6', { ...near, enabled: false }),
      ],
    })
    expect(reasons(shown)).to.deep.equal({
      '10.0.0.1:80': 'yes: healthy; own zone gets 100 %',
      '10.0.0.2:80': 'no: version v1, subset v2 wants v2',
      '10.0.0.3:81': 'no: port 81, the route wants 80',
      '10.0.0.4:80': 'no: healthy; own region, nearer endpoints carry the traffic',
      '10.0.0.5:80': 'no: unhealthy',
      '10.0.0.6:80': 'no: disabled',
    })
  })

  it('say that panic mode uses an unhealthy endpoint', () => {
    const list = endpoints(3).map((one, index) => ({ ...one, healthy: index === 0 }))
    expect(reasons(cluster({ endpoints: list }))['10.0.0.2:80']).to.equal(
      'yes: unhealthy, used all the same: panic mode, 1 of 3 usable; all localities gets 100 %',
    )
  })

  it('say that the protect threshold uses an unhealthy endpoint', () => {
    const list = endpoints(3).map((one, index) => ({ ...one, healthy: index === 0 }))
    const shown = cluster({ endpoints: endpointSet(list, { protectThreshold: 0.8 }) })
    expect(reasons(shown)['10.0.0.2:80']).to.contain('below the protect threshold')
  })

  it('say that outlier detection stands aside', () => {
    const shown = cluster({
      endpoints: endpoints(2),
      policy: { outlier: outlierOf({ consecutive5xx: 1, minHealthShare: 0.9 }) },
    })
    attempt(shown, stateOf(shown, '10.0.0.0'), Outcome.serverError, { status: 500 })
    expect(reasons(shown)['10.0.0.0:80']).to.contain('too few endpoints are healthy')
  })

  it('say that a locality has no share', () => {
    const shown = cluster({
      own: { region: 'bj', zone: 'bj-1' },
      endpoints: [endpoint('10.0.0.1', { region: 'bj' }), endpoint('10.0.0.2', { region: 'sh' })],
      policy: { locality: { enabled: true, distribute: [{ from: '*', to: { 'bj/*': 1 } }] } },
    })
    expect(reasons(shown)['10.0.0.2:80']).to.equal('no: healthy; its locality has no share in distribute')
  })

  it('change nothing: the next pick is the one that would have come anyway', () => {
    const one = cluster({ endpoints: endpoints(5), policy: { loadBalancer: { kind: 'round-robin' } } })
    const two = cluster({ endpoints: endpoints(5), policy: { loadBalancer: { kind: 'round-robin' } } })
    one.candidates(0)
    one.dump(0)
    const order = (from: typeof one): unknown[] =>
      Array.from({ length: 7 }, () =>
        from.pick({ now: 0, random: Math.random, hash: 0, hasHash: false, tried: null, original: '' }),
      ).map((picked) => (picked.kind === 'endpoint' ? picked.id : picked.code))
    expect(order(one)).to.deep.equal(order(two))
  })
})
