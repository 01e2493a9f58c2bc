/** What a cluster says about itself to people: the rows of `/clusters` and the candidates of `/explain`. */
import type { Endpoint, EndpointSet } from '../../../contracts/endpoint.ts'
import { endpointId } from '../../../contracts/endpoint.ts'
import { BreakerState } from './breaker.ts'
import type { LiveEndpoint } from './endpoint-state.ts'
import type { Gate } from './gate.ts'
import type { Group } from './group.ts'
import { describeHealth } from './health.ts'
import { hasPort } from '../../../contracts/endpoint-labels.ts'
import type { Health } from './health.ts'
import type { LocalityPlan } from './locality.ts'
import type { BalanceDump, Candidate, Cluster } from './types.ts'

export function describeCluster(
  cluster: Pick<Cluster, 'name' | 'service' | 'subset' | 'numbers'>,
  states: readonly LiveEndpoint[],
  { breaker, shares }: Gate,
  now: number,
): BalanceDump {
  return {
    name: cluster.name,
    service: cluster.service,
    subset: cluster.subset,
    endpoints: states.map((state) => describeEndpoint(state, now)),
    activeRequests: cluster.numbers.activeRequests,
    pendingRequests: cluster.numbers.pendingRequests,
    connections: cluster.numbers.connections,
    breaker: breaker === null ? 'off' : breakerWord(breaker.state),
    callers: [...shares.held()].map(([caller, requests]) => ({ caller, requests })),
  }
}

function breakerWord(state: BreakerState): BalanceDump['breaker'] {
  if (state === BreakerState.closed) return 'closed'
  return state === BreakerState.open ? 'open' : 'half-open'
}

function describeEndpoint(state: LiveEndpoint, now: number): BalanceDump['endpoints'][number] {
  return {
    endpoint: state.id,
    weight: state.weight,
    healthy: state.isUsable,
    state: describeHealth(state, now),
    activeRequests: state.activeRequests,
    requests: state.requests,
    failures: state.failures,
    latencyMs: Math.round(state.meanLatencyMs * 1000) / 1000,
    version: state.endpoint.version,
    zone: state.endpoint.locality.zone,
  }
}

export interface CandidateSources {
  readonly set: EndpointSet
  readonly byId: ReadonlyMap<string, LiveEndpoint>
  readonly labels: Readonly<Record<string, string>> | undefined
  readonly subset: string | undefined
  readonly port: number | undefined
  readonly plan: LocalityPlan | null
  readonly groups: readonly Group[]
  readonly health: Health
  readonly isPassthrough: boolean
  readonly isStandingAside: boolean
  readonly now: number
}

export function describeCandidates(sources: CandidateSources): Candidate[] {
  const groupOf = new Map<LiveEndpoint, Group>()
  for (const group of sources.groups) for (const member of group.members) groupOf.set(member, group)
  return sources.set.endpoints.map((endpoint) => {
    const id = endpointId(endpoint)
    const state = sources.byId.get(id)
    if (state === undefined) return { endpoint: id, usable: false, reason: describeFiltered(endpoint, sources) }
    return { endpoint: id, ...describeMember(state, groupOf.get(state), sources) }
  })
}

function describeFiltered(endpoint: Endpoint, sources: CandidateSources): string {
  if (sources.port !== undefined && !hasPort(endpoint, sources.port)) {
    return `port ${endpoint.port}, the route wants ${sources.port}`
  }
  for (const [name, wanted] of Object.entries(sources.labels ?? {})) {
    const found = endpoint.metadata[name] ?? (name === 'version' && endpoint.version !== '' ? endpoint.version : 'none')
    if (found !== wanted) return `${name} ${found}, subset ${sources.subset ?? ''} wants ${wanted}`
  }
  return 'not in this destination'
}

function describeMember(
  state: LiveEndpoint,
  group: Group | undefined,
  sources: CandidateSources,
): { usable: boolean; reason: string } {
  const word = describeHealth(state, sources.now)
  if (!state.isEligible) return { usable: false, reason: word }
  if (sources.isPassthrough) return { usable: true, reason: `${word}; used when the caller names it` }
  if (group === undefined) return { usable: false, reason: `${word}; its locality has no share in distribute` }
  if (!state.isPickable) return { usable: false, reason: word }
  if (state.isHeld && group.load === 0) return { usable: false, reason: word }
  if (group.load === 0) {
    return { usable: false, reason: `${word}; ${group.name}, nearer endpoints carry the traffic` }
  }
  const share = `${group.name} gets ${Math.round(group.load * 100)} %`
  if (!state.isUsable) {
    const { usable, eligible } = sources.health
    return { usable: true, reason: `${word}, used all the same: panic mode, ${usable} of ${eligible} usable; ${share}` }
  }
  if (state.isEjected && sources.isStandingAside) {
    return { usable: true, reason: `${word}, used all the same: too few endpoints are healthy; ${share}` }
  }
  if (!state.endpoint.healthy) {
    return { usable: true, reason: `${word}, used all the same: below the protect threshold; ${share}` }
  }
  return { usable: true, reason: `${word}; ${share}` }
}
