/** Answers that the mesh makes itself, as plain values: one place for their status, code, Envoy's response flag, and words. */
import type { ErrorCode } from '../../../contracts/errors.ts'
import type { Refusal } from '../balance/types.ts'
import { emptyReply } from '../route/local-reply.ts'
import type { Destination, LocalReply, VirtualHost } from '../route/types.ts'

/** Status of a refusal by a policy: no endpoint, limits, an open breaker. */
const refusalStatus = 503

export const emptyOk: LocalReply = emptyReply(200, '')
export const emptyNotFound: LocalReply = emptyReply(404, '')

/** An error with its code and reason as the body. */
export function errorAnswer(status: number, code: ErrorCode, flag: string, reason: string): LocalReply {
  const body = Buffer.from(`${code}  ${reason}\n`, 'latin1')
  return { kind: 'reply', status, code, flag, headers: 'content-type: text/plain\r\n', body }
}

export function refusalAnswer(refusal: Refusal): LocalReply {
  return errorAnswer(refusalStatus, refusal.code, refusal.flag, refusal.reason)
}

export function loopFound(passes: number): LocalReply {
  return errorAnswer(508, 'E_ROUTE_LOOP', 'NR', `the request passed this agent ${passes} times`)
}

export function noName(): LocalReply {
  return errorAnswer(400, 'E_ROUTE_NO_NAME', 'NR', 'neither x-mesh-service nor Host names a service')
}

export function tooManyParked(): LocalReply {
  return errorAnswer(503, 'E_OVERLOAD', 'OM', 'too many requests wait for services to be looked up')
}

export function unknownService(name: string): LocalReply {
  return errorAnswer(503, 'E_ROUTE_UNKNOWN_SERVICE', 'NC', `${name} is known to no registry and no rule`)
}

/** Envoy's flag for a destination that is not there; a subset that no rule defines is no unknown service. */
export function unknownDestination({ clusterKey, spec }: Destination): LocalReply {
  return spec.subset === undefined
    ? errorAnswer(503, 'E_ROUTE_UNKNOWN_SERVICE', 'NC', `the destination ${clusterKey} is not known here`)
    : errorAnswer(503, 'E_BALANCE_NO_ENDPOINT', 'NC', `no rule defines subset ${spec.subset} of ${spec.service}`)
}

export function noRoute(host: VirtualHost): LocalReply {
  return errorAnswer(404, 'E_ROUTE_NONE', 'NR', `no route of ${host.name} matches the request`)
}

export function noDestination(route: string): LocalReply {
  return errorAnswer(404, 'E_ROUTE_NONE', 'NR', `the route ${route} has no destination`)
}

export function fallbackRefused(address: string): LocalReply {
  return errorAnswer(
    403,
    'E_ROUTE_FALLBACK_REFUSED',
    'NR',
    `${address} is outside the networks allowed for x-mesh-fallback`,
  )
}

export function requestTooSlow(reason: string): LocalReply {
  return errorAnswer(408, 'E_DOWNSTREAM_TIMEOUT', 'DT', reason)
}

export function replyTooSlow(): LocalReply {
  return errorAnswer(504, 'E_UPSTREAM_TIMEOUT', 'UT', 'no reply within the time of the request')
}
