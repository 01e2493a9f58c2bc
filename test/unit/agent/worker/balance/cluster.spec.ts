import { expect } from 'chai'
import { getHeapStatistics } from 'node:v8'
import { seededRandom } from '../../../../support/seeded-random.ts'
import { metadataKeys } from '../../../../../contracts/endpoint.ts'
import { Outcome } from '../../../../../agent/worker/balance/types.ts'
import type { EndpointState } from '../../../../../agent/worker/balance/types.ts'
import type { LoadBalancerSpec } from '../../../../../contracts/policy-spec.ts'
import {
  attempt,
  cluster,
  context,
  countPicks,
  endpoint,
  endpoints,
  endpointSet,
  outlierOf,
  pickRefusal,
  pickState,
  policyOf,
  stateOf,
} from '../../../../support/balance.ts'

const key = { from: 'source-address' } as const
const balancers: readonly LoadBalancerSpec[] = [
  { kind: 'round-robin' },
  { kind: 'random' },
  { kind: 'least-request', choices: 2 },
  { kind: 'peak-ewma', decayMs: 10_000 },
  { kind: 'ring-hash', key, minimumRingSize: 1024 },
  { kind: 'maglev', key, tableSize: 65_537 },
]

describe('cluster', () => {
  it('is named as Envoy names it, with empty parts where there is none', () => {
    expect(cluster().name).to.equal('outbound|||public/DEFAULT_GROUP@@orders')
    expect(cluster({ subset: 'v2', port: 8080, labels: {} }).name).to.equal(
      'outbound|8080|v2|public/DEFAULT_GROUP@@orders',
    )
  })

  it('keeps the state of an endpoint over updates as long as it stays', () => {
    const living = cluster({ endpoints: endpoints(3) })
    const state = stateOf(living, '10.0.0.1')
    const pool = {}
    state.pool = pool
    living.beginAttempt(state, 0)
    living.update(
      endpointSet([endpoint('10.0.0.1', { weight: 7, version: 'v2' }), endpoint('10.0.0.9')]),
      policyOf(),
      1,
    )
    expect(stateOf(living, '10.0.0.1')).to.equal(state)
    expect(state).to.include({ activeRequests: 1, pool, isGone: false })
    expect(state.endpoint).to.include({ weight: 7, version: 'v2' })
  })

  it('reports each endpoint that left, once, and never picks it again', () => {
    const living = cluster({ endpoints: endpoints(3) })
    const gone: EndpointState[] = []
    living.onGone = (state) => gone.push(state)
    living.update(endpointSet(endpoints(3).slice(1)), policyOf(), 1)
    living.update(endpointSet(endpoints(3).slice(1)), policyOf(), 2)
    expect(gone.map((state) => state.id)).to.deep.equal(['10.0.0.0:80'])
    expect(gone[0]!.isGone).to.equal(true)
    expect(countPicks(living, 500).has('10.0.0.0')).to.equal(false)
  })

  it('begins anew with an endpoint that left and came back', () => {
    const living = cluster({ endpoints: endpoints(2) })
    const before = stateOf(living, '10.0.0.0')
    living.update(endpointSet(endpoints(2).slice(1)), policyOf(), 1)
    living.update(endpointSet(endpoints(2)), policyOf(), 2)
    expect(stateOf(living, '10.0.0.0')).to.not.equal(before)
  })

  it('lets requests in flight on an endpoint that left end without harm', () => {
    const living = cluster({ endpoints: endpoints(2), policy: { outlier: outlierOf({ consecutive5xx: 1 }) } })
    const state = stateOf(living, '10.0.0.0')
    living.beginAttempt(state, 0)
    living.update(endpointSet(endpoints(2).slice(1)), living.policy, 1)
    living.endAttempt(state, Outcome.serverError, 500, 4, 2)
    expect(state.activeRequests).to.equal(0)
    expect(living.numbers).to.include({ activeAttempts: 0, ejectedEndpoints: 0 })
  })

  it('follows a set that becomes empty and fills again', () => {
    const living = cluster({ endpoints: endpoints(2) })
    living.update(endpointSet([]), policyOf(), 1)
    expect(pickRefusal(living).reason).to.contain('no endpoint is registered')
    living.update(endpointSet(endpoints(1)), policyOf(), 2)
    expect(pickState(living).address).to.equal('10.0.0.0')
  })

  it('holds only the endpoints of its subset: by version or metadata', () => {
    const list = [
      endpoint('10.0.0.1', { version: 'v1' }),
      endpoint('10.0.0.2', { version: 'v2' }),
      endpoint('10.0.0.3', { metadata: { version: 'v2', lane: 'blue' } }),
    ]
    const versionTwo = cluster({ endpoints: list, subset: 'v2', labels: { version: 'v2' } })
    expect([...countPicks(versionTwo, 500).keys()].toSorted()).to.deep.equal(['10.0.0.2', '10.0.0.3'])
    const blue = cluster({ endpoints: list, subset: 'blue', labels: { version: 'v2', lane: 'blue' } })
    expect([...countPicks(blue, 100).keys()]).to.deep.equal(['10.0.0.3'])
  })

  it('follows changed labels of its subset', () => {
    const list = [endpoint('10.0.0.1', { version: 'v1' }), endpoint('10.0.0.2', { version: 'v2' })]
    const moving = cluster({ endpoints: list, subset: 'stable', labels: { version: 'v1' } })
    moving.update(endpointSet(list), policyOf(), 1, { version: 'v2' })
    expect([...countPicks(moving, 100).keys()]).to.deep.equal(['10.0.0.2'])
  })

  it('holds only the endpoints of its port', () => {
    const list = [endpoint('10.0.0.1', { port: 80 }), endpoint('10.0.0.1', { port: 8080 })]
    expect(pickState(cluster({ endpoints: list, port: 8080 })).port).to.equal(8080)
  })

  it("takes a port that no endpoint has for the service's own, until one has it", () => {
    const list = [endpoint('10.0.0.1', { port: 8080 }), endpoint('10.0.0.2', { port: 8081 })]
    const living = cluster({ endpoints: list, port: 80 })
    expect([...countPicks(living, 50).keys()]).to.have.members(['10.0.0.1', '10.0.0.2'])
    expect(living.candidates(0).every(({ usable }) => usable)).to.equal(true)
    living.update(endpointSet([...list, endpoint('10.0.0.3', { port: 80 })]), living.policy, 0)
    expect([...countPicks(living, 50).keys()]).to.deep.equal(['10.0.0.3'])
    living.update(endpointSet(list), living.policy, 0)
    expect([...countPicks(living, 50).keys()]).to.have.members(['10.0.0.1', '10.0.0.2'])
  })

  it('finds nobody at a port that a ServiceEntry does not give its endpoints, nor at the port of none', () => {
    const listed = [endpoint('10.0.0.1', { port: 8080, metadata: { [metadataKeys.servicePorts]: '443' } })]
    expect(pickRefusal(cluster({ endpoints: listed, port: 80 })).code).to.equal('E_BALANCE_NO_ENDPOINT')
    expect(pickRefusal(cluster({ endpoints: endpoints(1), port: 0 })).code).to.equal('E_BALANCE_NO_ENDPOINT')
  })

  it('names the port that no endpoint has, and those that they have', () => {
    const at = (port: number, listed?: string) =>
      endpoint('10.0.0.1', {
        port,
        ...(listed === undefined ? {} : { metadata: { [metadataKeys.servicePorts]: listed } }),
      })
    const listed = cluster({ endpoints: [at(9443, '443'), at(9080, '80')], port: 8080 })
    expect(pickRefusal(listed).reason).to.include('none of 2 endpoints has port 8080; ports: 80, 443')
    const dialled = cluster({ endpoints: [at(9443, '443')], port: 0 })
    expect(pickRefusal(dialled).reason).to.include('has the port that the caller named; ports: 443')
    const none = cluster({ endpoints: [at(80)], subset: 'v2', labels: { version: 'v2' } })
    expect(pickRefusal(none).reason).to.include('none of 1 endpoints is in subset v2')
    expect(cluster({ endpoints: [at(80)], port: 9090 }).portNote).to.match(/^no endpoint has port 9090 \(ports: 80\)/)
    expect(cluster({ endpoints: [at(80)], port: 80 }).portNote).to.equal(undefined)
  })

  it('knows a meshed endpoint by the port of its application too, as callers name it', () => {
    const list = [
      endpoint('10.0.0.1', { port: 21_000, metadata: { 'hostmesh.app-port': '8080' } }),
      endpoint('10.0.0.2'),
    ]
    expect([...countPicks(cluster({ endpoints: list, port: 8080 }), 50).keys()]).to.deep.equal(['10.0.0.1'])
  })

  it('takes an endpoint that the set holds twice only once', () => {
    const twice = cluster({ endpoints: [endpoint('10.0.0.1'), endpoint('10.0.0.1')] })
    expect(twice.states.length).to.equal(1)
    twice.update(endpointSet([endpoint('10.0.0.1'), endpoint('10.0.0.1')]), policyOf(), 1)
    expect(twice.states.length).to.equal(1)
  })

  for (const loadBalancer of balancers) {
    describe(`with ${loadBalancer.kind}`, () => {
      it('avoids every tried endpoint while another one is usable, then takes a tried one again', () => {
        const retrying = cluster({ endpoints: endpoints(4), policy: { loadBalancer } })
        for (let hash = 0; hash < 50; hash++) {
          const tried: EndpointState[] = []
          for (let nth = 0; nth < 4; nth++) tried.push(pickState(retrying, { hash, hasHash: true, tried }))
          expect(new Set(tried).size).to.equal(4)
          expect(tried).to.include(pickState(retrying, { hash, hasHash: true, tried }))
        }
      })

      it('picks and counts without making garbage, also among 10,000 endpoints', async () => {
        for (const count of [64, 10_000]) {
          const list = endpoints(count).map((one, index) => ({ ...one, weight: 1 + (index % 3) }))
          const steady = cluster({ endpoints: list, policy: { loadBalancer, outlier: outlierOf() } })
          const shared = context({ hasHash: true, random: seededRandom(3) })
          const run = (picks: number): void => {
            for (let nth = 0; nth < picks; nth++) {
              shared.hash = Math.imul(nth, 2_654_435_761) >>> 0
              steady.admit(shared.now)
              const picked = steady.pick(shared)
              if (picked.kind === 'endpoint') {
                steady.beginAttempt(picked, shared.now)
                steady.endAttempt(picked, Outcome.ok, 200, 3, shared.now)
              }
              steady.release()
            }
          }
          // The best of several passes, for the first ones still run in the interpreter, which boxes fractions, and the
          // compiler is a thread that a busy machine lets wait. The engine counts by whole buffers of
          // some 200 kB; the smallest object is 16 bytes, so below 8 per request there was none.
          let least = Infinity
          const until = performance.now() + 10_000
          for (let pass = 0; (pass < 8 || performance.now() < until) && least >= 8; pass++) {
            await new Promise((resolve) => setImmediate(resolve))
            const before = getHeapStatistics().total_allocated_bytes
            run(100_000)
            least = Math.min(least, (getHeapStatistics().total_allocated_bytes - before) / 100_000)
          }
          expect(least, `${count} endpoints, bytes per request`).to.be.below(8)
        }
      })

      it('survives changes of endpoints and health between any two picks', () => {
        const random = seededRandom(9)
        const moving = cluster({
          endpoints: endpoints(6),
          policy: { loadBalancer, outlier: outlierOf(), warmupMs: 100 },
        })
        const shared = context({ hasHash: true })
        for (let round = 0; round < 300; round++) {
          const list = endpoints(12)
            .filter(() => random() < 0.6)
            .map((one) => ({ ...one, healthy: random() < 0.7, weight: Math.floor(random() * 3) }))
          shared.now = round * 40
          moving.update(endpointSet(list), moving.policy, shared.now)
          for (let nth = 0; nth < 20; nth++) {
            shared.hash = (random() * 2 ** 32) >>> 0
            const picked = moving.pick(shared)
            if (picked.kind === 'refusal') {
              expect(list.every((one) => one.weight === 0)).to.equal(true)
              continue
            }
            expect(list.some((one) => one.address === picked.address && one.weight > 0)).to.equal(true)
            attempt(moving, picked, random() < 0.5 ? Outcome.serverError : Outcome.ok, { status: 500, now: shared.now })
          }
        }
        expect(moving.numbers.activeAttempts).to.equal(0)
      })
    })
  }
})
