/**
 * What the agent in front of an application says about a request that did not get there. Its answer stands for the
 * failed connect that the caller's agent would have seen without it: nothing was delivered, so any method may go
 * elsewhere. An application that broke off without a reply is told in the same way, and stands for the reset that
 * would have been seen: what it may have read goes elsewhere only if it is idempotent. Only believed from an endpoint
 * that is an agent's inbound port, and such an agent lets no application say it.
 */
import { errorCodes } from '../../../contracts/errors.ts'
import type { ErrorCode } from '../../../contracts/errors.ts'

export const Delivery = {
  /** Or nobody said that it was not. */
  delivered: 0,
  /** The agent gave it up before the application had it, because of a bound. */
  heldBack: 1,
  /** The application could not be reached. */
  unreachable: 2,
  /** The application may have it, and broke off without a reply. */
  brokenOff: 3,
} as const
export type Delivery = (typeof Delivery)[keyof typeof Delivery]

const unreachable: ReadonlySet<string> = new Set<ErrorCode>([
  'E_CONNECT_REFUSED',
  'E_CONNECT_FAILED',
  'E_CONNECT_TIMEOUT',
  'E_BALANCE_NO_ENDPOINT',
  'E_ROUTE_UNKNOWN_SERVICE',
])

const heldBack: ReadonlySet<string> = new Set(
  Object.entries(errorCodes).flatMap(([code, { retry }]) => (retry === 'before-send' ? [code] : [])),
)

const brokenOff: ErrorCode = 'E_UPSTREAM_RESET'

/** `code`: of the field `x-mesh-error`. */
export function deliveryOf(code: string): Delivery {
  if (unreachable.has(code)) return Delivery.unreachable
  if (code === brokenOff) return Delivery.brokenOff
  return heldBack.has(code) ? Delivery.heldBack : Delivery.delivered
}
