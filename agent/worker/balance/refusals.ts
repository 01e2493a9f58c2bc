/**
 * What a cluster answers instead of an endpoint: made once, so that refusing costs nothing. Flags are Envoy's: UH no
 * healthy upstream, UO upstream overflow.
 */
import type { LiveEndpoint } from './endpoint-state.ts'
import type { Refusal } from './types.ts'

export interface ClusterRefusals {
  readonly tooManyRequests: Refusal
  readonly breakerOpen: Refusal
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
    notAnEndpoint: {
      kind: 'refusal',
      code: 'E_BALANCE_NO_ENDPOINT',
      flag: 'UH',
      reason: `${cluster}: the address that the caller named is not an endpoint of the service`,
    },
  }
}

export function noEndpointRefusal(cluster: string, states: readonly LiveEndpoint[]): Refusal {
  return { kind: 'refusal', code: 'E_BALANCE_NO_ENDPOINT', flag: 'UH', reason: `${cluster}: ${whyNone(states)}` }
}

function whyNone(states: readonly LiveEndpoint[]): string {
  if (states.length === 0) return 'no endpoint is registered'
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
