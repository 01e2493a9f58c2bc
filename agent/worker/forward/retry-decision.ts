/**
 * Whether a failed attempt may be repeated. What the endpoint may have read decides first (R31, RFC 9110 section
 * 9.2.2):
 * - nothing of the request was sent, or the kernel never got any of it (`Fate` of the transport):
 *   any request may be repeated;
 * - it may have been read: only an idempotent method, or one of which a rule says that it may be carried out twice, and
 *   only while the body is still whole here.
 * Connections that end while they are idle are an everyday thing. A request that meets one is repeated on a fresh
 * connection without using up a retry: whatever its method where it was not read, else only if it is idempotent, the
 * connection was used before and no byte of a reply came. A stream that its endpoint reset on a living connection is
 * the endpoint's answer to this request, and no such end. For all others the route's policy, its count, and the
 * destination's budget follow.
 */
import { Outcome } from '../balance/types.ts'
import type { RetryPolicy } from '../route/types.ts'

export interface Sent {
  /** By its method, or by the word of a rule. */
  readonly isIdempotent: boolean
  /** Whether the endpoint may have read any byte of the request. */
  readonly mayBeRead: boolean
  /** Whether everything received so far can be sent again. */
  readonly isReplayable: boolean
}

/** What the facts of sending allow, before any policy. */
export function mayRepeat(sent: Sent): boolean {
  if (!sent.isReplayable) return false
  return !sent.mayBeRead || sent.isIdempotent
}

/** Whether the policy wants another attempt after this failure. */
export function wantsRetry(policy: RetryPolicy | null, outcome: Outcome, mayBeRead: boolean): boolean {
  if (policy === null) return false
  switch (outcome) {
    case Outcome.connectFailure:
    case Outcome.connectTimeout:
      return policy.onConnectFailure
    case Outcome.reset:
      return mayBeRead ? policy.onResetBeforeReply : policy.onResetBeforeRequest
    case Outcome.timeout:
    case Outcome.protocol:
      return mayBeRead ? policy.onReset : policy.onResetBeforeRequest
    default:
      return false
  }
}

/** Why a request is repeated without a retry. */
export const FreeRepeat = {
  none: 0,
  /** The endpoint had closed the connection before it knew of the request. */
  unread: 1,
  /** A connection that had been used before broke without a byte of a reply; the request is idempotent. */
  reusedConnection: 2,
} as const
export type FreeRepeat = (typeof FreeRepeat)[keyof typeof FreeRepeat]

/** For a request that ended before the first byte of a reply. `wasIdle`: with its connection, used before. */
export function freeRepeat(outcome: Outcome, wasIdle: boolean, hasReply: boolean, sent: Sent): FreeRepeat {
  if (outcome !== Outcome.reset || hasReply || !mayRepeat(sent)) return FreeRepeat.none
  if (!sent.mayBeRead) return FreeRepeat.unread
  return wasIdle ? FreeRepeat.reusedConnection : FreeRepeat.none
}

/** Full jitter, growing twofold up to ten times the first back-off (Envoy's default bounds). */
export function backoffMs(policy: RetryPolicy, retries: number, random: () => number): number {
  const first = policy.spec.backoffMs
  return random() * Math.min(first * 2 ** retries, first * 10)
}
