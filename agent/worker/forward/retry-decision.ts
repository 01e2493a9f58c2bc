/**
 * Whether a failed attempt may be repeated. What was sent decides first (R31, RFC 9110 section 9.2.2):
 * - nothing of the request was sent: any request may go to another endpoint;
 * - something was sent: only an idempotent method, and only while the body is still whole here;
 * - the one exception: a reused connection that the endpoint had closed while it was idle, with no byte of a reply. The request never reached the
 *   application, so it goes out again on a fresh connection, whatever its method, without using up a retry.
 * Then the route's policy, its count, and the destination's budget.
 */
import { Outcome } from '../balance/types.ts'
import { Method } from '../../../http1/types.ts'
import type { RetryPolicy } from '../route/types.ts'

export interface Sent {
  readonly methodId: Method
  /** Whether any byte of the request went to the endpoint. */
  readonly sentAny: boolean
  /** Whether everything received so far can be sent again. */
  readonly isReplayable: boolean
}

const idempotent: readonly boolean[] = Array.from(
  { length: 16 },
  (_, id) =>
    id === Method.get ||
    id === Method.head ||
    id === Method.put ||
    id === Method.delete ||
    id === Method.options ||
    id === Method.trace,
)

export function isIdempotent(methodId: Method): boolean {
  return idempotent[methodId] === true
}

/** What the facts of sending allow, before any policy. */
export function mayRepeat(sent: Sent): boolean {
  if (!sent.isReplayable) return false
  return !sent.sentAny || isIdempotent(sent.methodId)
}

/** Whether the policy wants another attempt after this failure. */
export function wantsRetry(policy: RetryPolicy | null, outcome: Outcome, sentAny: boolean): boolean {
  if (policy === null) return false
  switch (outcome) {
    case Outcome.connectFailure:
    case Outcome.connectTimeout:
      return policy.onConnectFailure
    case Outcome.reset:
    case Outcome.timeout:
    case Outcome.protocol:
      return sentAny ? policy.onReset : policy.onResetBeforeRequest
    default:
      return false
  }
}

/** A closed idle connection, found out by using it. */
export function isStaleConnection(
  outcome: Outcome,
  wasReused: boolean,
  replyBytes: number,
  isReplayable: boolean,
): boolean {
  return outcome === Outcome.reset && wasReused && replyBytes === 0 && isReplayable
}

/** Full jitter, growing twofold up to ten times the first back-off (Envoy's default bounds). */
export function backoffMs(policy: RetryPolicy, retries: number, random: () => number): number {
  const first = policy.spec.backoffMs
  return random() * Math.min(first * 2 ** retries, first * 10)
}
