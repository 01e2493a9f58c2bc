import { expect } from 'chai'
import { ExchangeCrossing } from '../../../../../agent/worker/forward/exchange-crossing.ts'
import type { CarriedExchange, CrossingDeps } from '../../../../../agent/worker/forward/exchange-crossing.ts'
import { exchangeShape } from '../../../../../agent/worker/forward/exchange-state.ts'
import type { ExchangeState } from '../../../../../agent/worker/forward/exchange-state.ts'
import { Routing } from '../../../../../agent/worker/forward/routing.ts'
import { misfit } from '../../../../../agent/worker/listen/shape.ts'
import type { Shape } from '../../../../../agent/worker/listen/shape.ts'
import type { HttpMatchSpec } from '../../../../../contracts/route-spec.ts'
import { key, request, route, virtualHost } from '../../../../support/routing.ts'

describe('the route of a request that goes on in another process', () => {
  const cluster = `${key('chosen')}||`

  /** The parts of an exchange that have nothing to do with its route say and take nothing. */
  function crossingOf(routing: Routing, match: HttpMatchSpec): ExchangeCrossing {
    const host = virtualHost([route('chosen', [match])])
    const part = { state: null, restore() {}, stateAt: () => null }
    const exchange = {
      stream: { accepted: { listener: { virtualHost: host.name } } },
      request: request({ headers: { 'x-role': 'guest' } }),
      routing,
      tries: {
        ...part,
        visit: { upstream: { key: cluster }, hashCookie: null },
        running: { newest: { ...part, state: { id: 'a' } } },
        restore: () => ({ carry() {} }),
      },
      outgoing: { body: part, trace: part, requestId: part },
      reply: part,
      call: part,
      wholeTimer: { isArmed: false },
      wait: { waitedMs: 0 },
      startedAt: 0,
    } as unknown as CarriedExchange
    const mesh = { names: { host: () => host }, upstream: () => ({ cluster: { states: [{ id: 'a' }] } }) }
    return new ExchangeCrossing({ clock: { now: 0 }, wheel: {}, mesh } as unknown as CrossingDeps, exchange)
  }

  function routeAfter(match: HttpMatchSpec, before: Routing): string | undefined {
    const state = JSON.parse(JSON.stringify(crossingOf(before, match).state())) as ExchangeState
    const { token } = exchangeShape as Readonly<Record<string, Shape>>
    expect(misfit(state.token, token!)).to.equal(null)
    const after = new Routing()
    crossingOf(after, match).restore(state, () => ({}) as never)
    return after.route?.spec.name
  }

  it('is the one that the claims of its token led to', () => {
    const before = new Routing()
    before.token = { principal: 'i/alice', claims: { groups: ['testers'] } }
    const match: HttpMatchSpec = { claims: [{ path: ['groups'], value: { exact: 'testers' } }] }
    expect(routeAfter(match, before)).to.equal('chosen')
    expect(routeAfter(match, new Routing())).to.equal(undefined)
  })

  it('is the one that a field led to as its token wrote it, whatever the caller had written there', () => {
    const field = (value: string): HttpMatchSpec => ({ headers: { 'x-role': { exact: value } } })
    const before = new Routing()
    before.editRequest({ fields: [['x-role', 'admin']], drop: new Set(['x-role']) })
    expect(routeAfter(field('admin'), before)).to.equal('chosen')
    expect(routeAfter(field('guest'), before)).to.equal(undefined)
  })
})
