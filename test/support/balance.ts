/**
 * Builders for balancing tests: endpoints, sets, clusters and counted picks, all without a clock and with seeded random
 * numbers.
 */
import type { ClusterOptions } from '../../agent/worker/balance/cluster.ts'
import { createCluster } from '../../agent/worker/balance/cluster.ts'
import { seededRandom } from './seeded-random.ts'
import type { Cluster, EndpointState, Outcome, PickContext, Refusal } from '../../agent/worker/balance/types.ts'
import { endpointAt, endpointId } from '../../contracts/endpoint.ts'
import type { Endpoint, EndpointSet } from '../../contracts/endpoint.ts'
import { defaultTrafficPolicy } from '../../contracts/policy-spec.ts'
import type { ConcurrencySpec, OutlierSpec, TrafficPolicySpec } from '../../contracts/policy-spec.ts'

/** As a rule that says nothing more of it. */
export const concurrency: ConcurrencySpec = {
  percentile: 0.5,
  minLimit: 3,
  maxLimit: 1000,
  updateIntervalMs: 100,
  minRttIntervalMs: 60_000,
  buffer: 0.25,
}

export type EndpointTraits = Partial<Omit<Endpoint, 'address' | 'port' | 'locality'>> & {
  region?: string
  zone?: string
  port?: number
}

export function endpoint(address: string, traits: EndpointTraits = {}): Endpoint {
  const { region = '', zone = '', port = 80, ...rest } = traits
  return endpointAt(address, port, { cluster: 'DEFAULT', locality: { region, zone }, ...rest })
}

export function endpointSet(endpoints: readonly Endpoint[], traits: Partial<EndpointSet> = {}): EndpointSet {
  return {
    service: 'public/DEFAULT_GROUP@@orders',
    version: 1,
    endpoints: endpoints.toSorted((one, two) => (endpointId(one) < endpointId(two) ? -1 : 1)),
    protectThreshold: 0,
    registry: 'main',
    confirmedAt: 0,
    ...traits,
  }
}

/** `10.0.0.1`, `10.0.0.2` and so on, all alike. */
export function endpoints(count: number, traits: EndpointTraits = {}): Endpoint[] {
  return Array.from({ length: count }, (_value, index) =>
    endpoint(`10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`, traits),
  )
}

export interface ClusterTraits extends Partial<Omit<ClusterOptions, 'policy' | 'endpoints'>> {
  endpoints?: readonly Endpoint[] | EndpointSet
  policy?: Partial<TrafficPolicySpec>
}

export function cluster(traits: ClusterTraits = {}): Cluster {
  const { endpoints: given = endpoints(3), policy, ...rest } = traits
  return createCluster({
    service: 'public/DEFAULT_GROUP@@orders',
    own: { region: '', zone: '' },
    random: seededRandom(1),
    now: 0,
    endpoints: isSet(given) ? given : endpointSet(given),
    policy: policyOf(policy),
    ...rest,
  })
}

function isSet(given: readonly Endpoint[] | EndpointSet): given is EndpointSet {
  return !Array.isArray(given)
}

export function policyOf(traits: Partial<TrafficPolicySpec> = {}): TrafficPolicySpec {
  return { ...defaultTrafficPolicy, ...traits }
}

export function outlierOf(traits: Partial<OutlierSpec> = {}): OutlierSpec {
  return {
    consecutive5xx: 5,
    consecutiveGatewayErrors: 0,
    consecutiveLocalFailures: 0,
    splitLocalErrors: false,
    intervalMs: 10_000,
    baseEjectionMs: 30_000,
    maxEjectionMs: 300_000,
    maxEjectionShare: 0.5,
    minHealthShare: 0,
    ...traits,
  }
}

export function context(traits: Partial<PickContext> = {}): PickContext {
  return { now: 0, random: seededRandom(2), hash: 0, hasHash: false, tried: null, original: '', ...traits }
}

/** The endpoint picked, or a failure that shows the refusal. */
export function pickState(cluster: Cluster, traits: Partial<PickContext> | PickContext = {}): EndpointState {
  const picked = cluster.pick(context(traits))
  if (picked.kind === 'refusal') throw new Error(`expected an endpoint, got ${picked.code}: ${picked.reason}`)
  return picked
}

export function pickRefusal(cluster: Cluster, traits: Partial<PickContext> = {}): Refusal {
  const picked = cluster.pick(context(traits))
  if (picked.kind === 'endpoint') throw new Error(`expected a refusal, got ${picked.id}`)
  return picked
}

/** How often each address came up in `count` picks with nothing in flight. */
export function countPicks(cluster: Cluster, count: number, traits: Partial<PickContext> = {}): Map<string, number> {
  const counts = new Map<string, number>()
  const shared = context(traits)
  for (let nth = 0; nth < count; nth++) {
    const picked = cluster.pick(shared)
    const name = picked.kind === 'endpoint' ? picked.address : picked.code
    counts.set(name, (counts.get(name) ?? 0) + 1)
  }
  return counts
}

/** The state with this address; a failure if there is none. */
export function stateOf(cluster: Cluster, address: string): EndpointState {
  const state = cluster.states.find((candidate) => candidate.address === address)
  if (state === undefined) throw new Error(`${address} is not in ${cluster.name}`)
  return state
}

/** One attempt from begin to end. */
export function attempt(
  cluster: Cluster,
  state: EndpointState,
  outcome: Outcome,
  options: { status?: number; latencyMs?: number; now?: number } = {},
): void {
  const { status = 0, latencyMs = -1, now = 0 } = options
  cluster.beginAttempt(state, now)
  cluster.endAttempt(state, outcome, status, latencyMs, now)
}
