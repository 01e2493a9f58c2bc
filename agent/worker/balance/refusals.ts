/**
 * What a cluster answers instead of an endpoint: made once, so that refusing costs nothing. Flags are Envoy's: UH no
 * healthy upstream, UO upstream overflow.
 */
import type { Endpoint } from '../../../contracts/endpoint.ts'
import { hasPort, noPort, portsOf } from '../../../contracts/endpoint-labels.ts'
import type { LiveEndpoint } from './endpoint-state.ts'
import type { Refusal } from './types.ts'

export interface ClusterRefusals {
  readonly tooManyRequests: Refusal
  readonly breakerOpen: Refusal
  readonly tooManyAtOnce: Refusal
  readonly tooManyFailures: Refusal
  readonly overShare: Refusal
  readonly overLimit: Refusal
  readonly notAnEndpoint: Refusal
}

export function clusterRefusals(cluster: string): ClusterRefusals {
  return {
    tooManyRequests: {
      kind: 'refusal',
      code: 'E_BALANCE_OVERFLOW',
      flag: 'UO',
      reason: `${cluster}: too many requests in flight; raise connectionPool.http.http2MaxRequests or add endpoints`,
    },
    breakerOpen: {
      kind: 'refusal',
      code: 'E_BALANCE_BREAKER_OPEN',
      flag: 'UO',
      reason: `${cluster}: the circuit breaker is open because too many requests failed; it lets one through when its time is over`,
    },
    tooManyAtOnce: {
      kind: 'refusal',
      code: 'E_BALANCE_CONCURRENCY',
      flag: 'UO',
      reason: `${cluster}: as many requests are in flight as the service answers without a queue (adaptiveConcurrency)`,
    },
    tooManyFailures: {
      kind: 'refusal',
      code: 'E_BALANCE_ADMISSION',
      flag: 'UO',
      reason: `${cluster}: refused at random because too much of what the service gets fails (admissionControl)`,
    },
    overShare: {
      kind: 'refusal',
      code: 'E_BALANCE_CALLER_SHARE',
      flag: 'UO',
      reason: `${cluster}: the caller has its share of the requests in flight; other callers have a claim to the rest`,
    },
    overLimit: {
      kind: 'refusal',
      code: 'E_BALANCE_CALLER_SHARE',
      flag: 'UO',
      reason: `${cluster}: the caller has as many requests in flight as a policy allows it (callers)`,
    },
    notAnEndpoint: {
      kind: 'refusal',
      code: 'E_BALANCE_NO_ENDPOINT',
      flag: 'UH',
      reason: `${cluster}: the address that the caller named is not an endpoint of the service`,
    },
  }
}

/** `chosen`: what a rule or a caller wants of the endpoints of the service; undefined = anything. */
export interface ChosenBy {
  readonly set: readonly Endpoint[]
  readonly port: number | undefined
  readonly subset: string | undefined
}

export function noEndpointRefusal(cluster: string, states: readonly LiveEndpoint[], chosenBy: ChosenBy): Refusal {
  const reason = `${cluster}: ${states.length === 0 ? whyNothing(chosenBy) : whyNone(states)}`
  return { kind: 'refusal', code: 'E_BALANCE_NO_ENDPOINT', flag: 'UH', reason }
}

function whyNothing({ port, set, subset }: ChosenBy): string {
  if (set.length === 0) return 'no endpoint is registered'
  if (port !== undefined && !set.some((endpoint) => hasPort(endpoint, port)))
    return `none of ${set.length} endpoints has ${port === noPort ? 'the port that the caller named' : `port ${port}`}; ports: ${portsOf(set)}`
  const other = port === undefined ? '' : ` at port ${port}`
  return `none of ${set.length} endpoints is in subset ${subset ?? ''}${other}`
}

function whyNone(states: readonly LiveEndpoint[]): string {
  const counts = { disabled: 0, 'weight 0': 0, unhealthy: 0, 'failed active check': 0, ejected: 0, elsewhere: 0 }
  for (const state of states) {
    if (!state.endpoint.enabled) counts.disabled++
    else if (state.weight === 0) counts['weight 0']++
    else if (state.isUsable) counts.elsewhere++
    else if (state.hasFailedCheck) counts['failed active check']++
    else if (state.isEjected) counts.ejected++
    else counts.unhealthy++
  }
  const parts = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([word, count]) => (word === 'elsewhere' ? `${count} in localities without a share` : `${count} ${word}`))
  return `none of ${states.length} endpoints may be used: ${parts.join(', ')}`
}
