import { expect } from 'chai'
import { Outcome } from '../../../../../agent/worker/balance/types.ts'
import type { Cluster } from '../../../../../agent/worker/balance/types.ts'
import type { TrafficPolicySpec } from '../../../../../contracts/policy-spec.ts'
import {
  attempt,
  cluster,
  context,
  countPicks,
  endpoints,
  endpointSet,
  outlierOf,
  pickState,
  policyOf,
  stateOf,
} from '../../../../support/balance.ts'

const idOf = (index: number): string => `10.0.0.${index}:80`
const addressOf = (index: number): string => `10.0.0.${index}`

/** `count` endpoints of which those from `firstHeld` on are held. */
function shrunk(count: number, firstHeld: number, policy: Partial<TrafficPolicySpec> = {}): Cluster {
  const held = Array.from({ length: count - firstHeld }, (_, nth) => idOf(firstHeld + nth)).sort()
  return cluster({ endpoints: endpointSet(endpoints(count), { held }), policy })
}

const picked = (some: Cluster, now = 0): string[] => [...countPicks(some, 2000, { now }).keys()].sort()

const kinds: TrafficPolicySpec['loadBalancer'][] = [
  { kind: 'round-robin' },
  { kind: 'random' },
  { kind: 'least-request', choices: 2 },
  { kind: 'peak-ewma', decayMs: 10_000 },
  { kind: 'ring-hash', key: { from: 'source-address' }, minimumRingSize: 1024 },
  { kind: 'maglev', key: { from: 'source-address' }, tableSize: 251 },
]

describe('held endpoints', () => {
  for (const loadBalancer of kinds)
    it(`get nothing while the others work (${loadBalancer.kind})`, () => {
      const some = shrunk(10, 2, { loadBalancer })
      const seen = new Set<string>()
      const shared = context({ hasHash: true })
      for (let nth = 0; nth < 2000; nth++) {
        shared.hash = Math.imul(nth, 2_654_435_761) >>> 0
        seen.add(pickState(some, shared).address)
      }
      expect([...seen].sort()).to.deep.equal([addressOf(0), addressOf(1)])
      expect(some.numbers).to.include({ endpoints: 10, usableEndpoints: 2 })
    })

  it('are what a retry takes when all others were tried', () => {
    const some = shrunk(10, 2)
    const tried = [stateOf(some, addressOf(0)), stateOf(some, addressOf(1))]
    const shared = context({ tried })
    for (let nth = 0; nth < 200; nth++) {
      const state = some.pick(shared)
      expect(state.kind === 'endpoint' && !tried.includes(state)).to.equal(true)
    }
  })

  it('serve when outlier detection took the others out, before those are used in panic', () => {
    const some = shrunk(4, 2, { outlier: outlierOf({ consecutive5xx: 1, maxEjectionShare: 1 }), panicShare: 0.5 })
    for (const index of [0, 1]) attempt(some, stateOf(some, addressOf(index)), Outcome.serverError, { status: 500 })
    expect(picked(some, 1)).to.deep.equal([addressOf(2), addressOf(3)])
    expect(some.numbers.usableEndpoints).to.equal(2)
  })

  it('serve alone and like any others where the registry names nobody', () => {
    expect(picked(shrunk(3, 0))).to.deep.equal([0, 1, 2].map(addressOf))
  })

  for (const outcome of [Outcome.connectFailure, Outcome.connectTimeout])
    it(`are not used any more after a connection failed (outcome ${outcome})`, () => {
      const some = shrunk(3, 0)
      attempt(some, stateOf(some, addressOf(1)), outcome)
      expect(picked(some)).to.deep.equal([0, 2].map(addressOf))
      const dumped = some.dump(0).endpoints.find(({ endpoint }) => endpoint === idOf(1))
      expect(dumped?.state).to.equal('held back, and refused a connection: gone')
    })

  it('are not ended by anything else than a connection that failed', () => {
    const some = shrunk(2, 0)
    for (const outcome of [Outcome.serverError, Outcome.reset, Outcome.timeout])
      attempt(some, stateOf(some, addressOf(0)), outcome)
    expect(picked(some)).to.deep.equal([0, 1].map(addressOf))
  })

  it('are all asked again when each refused and nothing else is left', () => {
    const some = shrunk(2, 0)
    for (const index of [0, 1]) attempt(some, stateOf(some, addressOf(index)), Outcome.connectFailure)
    expect(picked(some)).to.deep.equal([0, 1].map(addressOf))
  })

  it('stay out, refused ones, while the others are at least there to be used in panic', () => {
    const some = shrunk(3, 2, { outlier: outlierOf({ consecutive5xx: 1, maxEjectionShare: 1 }), panicShare: 0.5 })
    for (const index of [0, 1]) attempt(some, stateOf(some, addressOf(index)), Outcome.serverError, { status: 500 })
    attempt(some, stateOf(some, addressOf(2)), Outcome.connectFailure)
    expect(picked(some, 1)).to.deep.equal([0, 1].map(addressOf))
    expect(some.numbers.panic).to.equal(1)
  })

  it('are ordinary again as soon as the registry names them, refused or not', () => {
    const some = shrunk(3, 1)
    attempt(some, stateOf(some, addressOf(2)), Outcome.connectFailure)
    some.update(endpointSet(endpoints(3)), policyOf(), 1)
    expect(picked(some, 1)).to.deep.equal([0, 1, 2].map(addressOf))
  })

  it('are told in candidates with what they are for', () => {
    const reasons = shrunk(2, 1).candidates(0)
    expect(reasons.map(({ usable }) => usable)).to.deep.equal([true, false])
    expect(reasons[1]!.reason).to.equal('held back: the registry names it no more; used when the others fail')
    expect(shrunk(1, 0).candidates(0)[0]!.usable).to.equal(true)
  })
})

describe('an endpoint that took no connection', () => {
  it('is passed over for a second by every policy, while another one is there', () => {
    for (const loadBalancer of kinds) {
      const some = cluster({ endpoints: endpoints(10), policy: { loadBalancer } })
      const dead = [0, 1, 2, 3, 4, 5, 6, 7]
      for (const index of dead) attempt(some, stateOf(some, addressOf(index)), Outcome.connectFailure, { now: 100 })
      const shared = context({ hasHash: true, now: 1099 })
      const seen = new Set<string>()
      for (let nth = 0; nth < 500; nth++) {
        shared.hash = Math.imul(nth, 2_654_435_761) >>> 0
        seen.add(pickState(some, shared).address)
      }
      expect([...seen].sort(), loadBalancer.kind).to.deep.equal([addressOf(8), addressOf(9)])
      expect(picked(some, 1101).length, loadBalancer.kind).to.be.above(2)
    }
  })

  it('is used where all others refused as well, and by a retry rather than one that was tried', () => {
    const some = cluster({ endpoints: endpoints(2) })
    for (const index of [0, 1]) attempt(some, stateOf(some, addressOf(index)), Outcome.connectFailure)
    expect(picked(some)).to.deep.equal([0, 1].map(addressOf))
    const tried = [stateOf(some, addressOf(0))]
    for (let nth = 0; nth < 50; nth++) expect(pickState(some, { tried }).address).to.equal(addressOf(1))
  })

  it('is used again at once after a good answer', () => {
    const some = cluster({ endpoints: endpoints(2) })
    attempt(some, stateOf(some, addressOf(0)), Outcome.connectFailure)
    attempt(some, stateOf(some, addressOf(0)), Outcome.ok, { status: 200 })
    expect(picked(some)).to.deep.equal([0, 1].map(addressOf))
  })
})
