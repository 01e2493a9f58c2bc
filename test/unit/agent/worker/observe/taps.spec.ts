import { expect } from 'chai'
import { maxKept, maxTaps, Taps } from '../../../../../agent/worker/observe/taps.ts'
import type { LoggedRequest } from '../../../../../agent/worker/observe/logged-request.ts'
import type { TapFilter } from '../../../../../contracts/live-view.ts'

const base: LoggedRequest = {
  method: 'GET',
  path: '/items/7?token=secret',
  barePath: '/items/7',
  query: 'token=secret',
  authority: 'orders',
  status: 200,
  grpcStatus: -1,
  streamId: 0,
  code: undefined,
  flag: '-',
  details: '',
  notes: '',
  durationMs: 12,
  headMs: 11,
  requestBytes: 0,
  replyBytes: 5,
  sourceAddress: '127.0.0.1',
  sourceApp: 'shop',
  upstreamId: '10.0.0.1:80',
  upstreamCluster: 'c',
  routeName: 'default',
  listenerName: 'l',
  attempts: 1,
  traceId: '',
  spanId: '',
  ids: undefined,
  givenId: undefined,
  reporter: 'source',
  service: 'orders',
  localService: 'shop',
  tier: 'agent',
  protocol: 'HTTP/1.1',
  header: () => 'secret',
  replyField: () => undefined,
}

describe('a tap', () => {
  let now: number
  let taps: Taps
  let tallies: { tapSkips: number }
  beforeEach(() => {
    now = 0
    tallies = { tapSkips: 0 }
    taps = new Taps({ now: () => now, wallClock: () => 1000, tallies })
  })

  function pass(request: Partial<LoggedRequest> = {}): void {
    const whole = { ...base, ...request }
    if (taps.isOn && taps.wants(whole, `public/G@@${whole.service}`, whole.durationMs)) taps.offer(whole)
  }

  it('shows what passed since the last question, without query and fields', () => {
    pass()
    expect(taps.ask('a', {}).requests).to.deep.equal([])
    pass()
    const { requests, skipped } = taps.ask('a', {})
    expect(skipped).to.equal(0)
    expect(requests).to.have.length(1)
    expect(requests[0]).to.include({ path: '/items/7', service: 'orders', durationMs: 12, upstream: '10.0.0.1:80' })
    expect(JSON.stringify(requests)).to.not.include('secret')
    expect(taps.ask('a', {}).requests).to.deep.equal([])
  })

  const filters: readonly (readonly [TapFilter, Partial<LoggedRequest>, Partial<LoggedRequest>])[] = [
    [{ service: 'orders' }, {}, { service: 'reorders' }],
    [{ status: '404' }, { status: 404 }, { status: 400 }],
    [{ status: '5xx' }, { status: 599 }, { status: 499 }],
    [{ method: 'POST' }, { method: 'POST' }, {}],
    [{ pathPrefix: '/items' }, {}, { path: '/other' }],
    [{ source: 'shop' }, {}, { sourceApp: 'cart' }],
    [{ leastMs: 12 }, {}, { durationMs: 11 }],
    [{ failed: true }, { flag: 'UF' }, {}],
    [{ failed: true }, { code: 'E_CONNECT_REFUSED' }, { status: 404 }],
  ]
  for (const [filter, matching, other] of filters)
    it(`${JSON.stringify(filter)} shows ${JSON.stringify(matching)}, not ${JSON.stringify(other)}`, () => {
      taps.ask('a', filter)
      pass(matching)
      pass(other)
      expect(taps.ask('a', filter).requests).to.have.length(1)
    })

  it('keeps so many and counts the rest, whatever comes', () => {
    taps.ask('a', {})
    for (let round = 0; round < 10_000; round++) pass()
    const { requests, skipped } = taps.ask('a', {})
    expect(requests).to.have.length(maxKept)
    expect(skipped).to.equal(10_000 - maxKept)
    expect(tallies.tapSkips).to.equal(skipped)
  })

  it('is forgotten when nobody asks any more, and costs nothing then', () => {
    taps.ask('a', {})
    now = 5001
    for (let round = 0; round <= maxKept; round++) pass()
    expect(taps.isOn).to.equal(false)
  })

  it('is forgotten when nobody asks any more although little or nothing came', () => {
    taps.ask('a', {})
    pass()
    now = 5000
    taps.look()
    expect(taps.isOn).to.equal(true)
    now = 5001
    taps.look()
    expect(taps.isOn).to.equal(false)
  })

  it('is refused beyond the bound, until another one was forgotten', () => {
    for (let number = 0; number < maxTaps; number++) taps.ask(String(number), {})
    expect(taps.ask('more', {}).refused).to.be.a('string')
    now = 5001
    expect(taps.ask('more', {}).refused).to.equal(undefined)
  })
})
