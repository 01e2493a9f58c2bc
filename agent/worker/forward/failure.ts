/** What a caller gets for an attempt that brought no reply: status, code, and Envoy's response flag. */
import type { ErrorCode } from '../../../contracts/errors.ts'
import { Outcome } from '../balance/types.ts'
import { givenUp } from './streams.ts'

export interface Failure {
  readonly status: number
  readonly code: ErrorCode
  readonly flag: string
}

const refused: Failure = { status: 503, code: 'E_CONNECT_REFUSED', flag: 'UF' }
const unreachable: Failure = { status: 503, code: 'E_CONNECT_FAILED', flag: 'UF' }
const connectTimeout: Failure = { status: 503, code: 'E_CONNECT_TIMEOUT', flag: 'UF' }
const reset: Failure = { status: 502, code: 'E_UPSTREAM_RESET', flag: 'UC' }
const cancelled: Failure = { status: 502, code: 'E_UPSTREAM_RESET', flag: 'UR' }
const timeout: Failure = { status: 504, code: 'E_UPSTREAM_TIMEOUT', flag: 'UT' }
const protocol: Failure = { status: 502, code: 'E_UPSTREAM_PROTOCOL', flag: 'UPE' }

/** `reason` is the system's name of a failed dial, or `givenUp`. */
export function failureOf(outcome: Outcome, reason: string): Failure {
  switch (outcome) {
    case Outcome.connectFailure:
      return reason === 'ECONNREFUSED' ? refused : unreachable
    case Outcome.connectTimeout:
      return connectTimeout
    case Outcome.timeout:
      return timeout
    case Outcome.protocol:
      return protocol
    default:
      return reason === givenUp ? cancelled : reset
  }
}
