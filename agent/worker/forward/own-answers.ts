/**
 * Answers that the mesh makes itself, as plain values: one place for their status, code, Envoy's response flag, and
 * words.
 */
import type { ErrorCode } from '../../../contracts/errors.ts'
import type { Refusal } from '../balance/types.ts'
import { emptyAnswer, noFields, plainText, soonAgain } from '../filters/answer.ts'
import type { Answer } from '../filters/answer.ts'
import type { Fields } from '../route/fields.ts'
import type { Destination, VirtualHost } from '../route/types.ts'
import type { RequestFault } from './streams.ts'

/** Status of a refusal by a policy: no endpoint, limits, an open breaker. */
const refusalStatus = 503

export const emptyOk: Answer = emptyAnswer(200, noFields)

/** An error with its code and reason as the body. */
export function errorAnswer(
  status: number,
  code: ErrorCode,
  flag: string,
  reason: string,
  fields: Fields = plainText,
): Answer {
  const body = Buffer.from(`${code}  ${reason}\n`, 'latin1')
  return { kind: 'answer', status, code, flag, fields, body }
}

export function refusalAnswer(refusal: Refusal): Answer {
  return errorAnswer(refusalStatus, refusal.code, refusal.flag, refusal.reason)
}

export function loopFound(passes: number): Answer {
  return errorAnswer(508, 'E_ROUTE_LOOP', 'NR', `the request passed this agent ${passes} times`)
}

export function noName(): Answer {
  return errorAnswer(400, 'E_ROUTE_NO_NAME', 'NR', 'neither x-mesh-service nor Host names a service')
}

export function tooManyParked(): Answer {
  return errorAnswer(503, 'E_OVERLOAD', 'OM', 'too many requests wait for services to be looked up', soonAgain)
}

/** The worker sheds load, or more requests wait for their turn than may. */
export function overloaded(): Answer {
  return errorAnswer(503, 'E_OVERLOAD', 'OM', 'the worker has more to do than it can; try again later', soonAgain)
}

/** For a relay: nobody has said yet whether the service exists, so the caller's own host may know better. */
export function centerNotReady(): Answer {
  return errorAnswer(503, 'E_CENTER_NOT_READY', 'NC', 'no registry has answered about the named service yet')
}

export function unknownService(name: string): Answer {
  return errorAnswer(503, 'E_ROUTE_UNKNOWN_SERVICE', 'NC', `${name} is known to no registry and no rule`)
}

/** Control did not say in time whether there is such a service. */
export function notKnownYet(name: string): Answer {
  const text = `${name} is not known yet: no registry has answered about it in time; hostmesh status names those that do not answer`
  return errorAnswer(503, 'E_ROUTE_UNKNOWN_SERVICE', 'NC', text)
}

/** A name that nobody could ever register: `parseServiceName` refuses it. */
export function nameNotAllowed(name: string): Answer {
  const shown = JSON.stringify(name.slice(0, 100))
  const allowed = 'A-Z a-z 0-9 . _ : $ - in name, GROUP@@name or namespace/GROUP@@name, each part 1 to 512 characters'
  return errorAnswer(
    400,
    'E_ROUTE_NAME_NOT_ALLOWED',
    'NR',
    `${shown} is not allowed as the name of a service; allowed: ${allowed}`,
  )
}

/** Envoy's flag for a destination that is not there; a subset that no rule defines is no unknown service. */
export function unknownDestination({ clusterKey, spec }: Destination): Answer {
  return spec.subset === undefined
    ? errorAnswer(503, 'E_ROUTE_UNKNOWN_SERVICE', 'NC', `the destination ${clusterKey} is not known here`)
    : errorAnswer(503, 'E_BALANCE_NO_ENDPOINT', 'NC', `no rule defines subset ${spec.subset} of ${spec.service}`)
}

export function noRoute(host: VirtualHost): Answer {
  return errorAnswer(404, 'E_ROUTE_NONE', 'NR', `no route of ${host.name} matches the request`)
}

export function noDestination(route: string): Answer {
  return errorAnswer(404, 'E_ROUTE_NONE', 'NR', `the route ${route} has no destination`)
}

/** Of a caller that may use `x-mesh-route`: going on as if it were not there would be another test than it meant. */
export function overrideRefused(reason: string): Answer {
  return errorAnswer(400, 'E_ROUTE_OVERRIDE_REFUSED', 'NR', reason)
}

export function fallbackRefused(address: string): Answer {
  return errorAnswer(
    403,
    'E_ROUTE_FALLBACK_REFUSED',
    'NR',
    `${address} is not allowed for x-mesh-fallback: outside its networks, a port of this agent, link-local or metadata`,
  )
}

export function requestTooSlow(reason: string): Answer {
  return errorAnswer(408, 'E_DOWNSTREAM_TIMEOUT', 'DT', reason)
}

/** Content of a call in gRPC-Web. */
export const notBase64: RequestFault = {
  status: 400,
  code: 'E_HTTP_BAD_REQUEST',
  reason: 'the content of application/grpc-web-text is no base64',
}

/** A filter allows no more of it. */
export function contentTooLong(most: number): RequestFault {
  return { status: 413, code: 'E_HTTP_CONTENT_TOO_LARGE', reason: `the content is longer than ${most} bytes` }
}

export function replyTooSlow(): Answer {
  return errorAnswer(504, 'E_UPSTREAM_TIMEOUT', 'UT', 'no reply within the time of the request')
}
