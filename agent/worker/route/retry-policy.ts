/**
 * Which failures ask for another attempt, in Envoy's words (router filter, x-envoy-retry-on). Whether an attempt is
 * then allowed is decided elsewhere: by what was sent (never a non-idempotent request after its first byte, R31, unless
 * a rule says so), by the count of attempts and by the budget of the destination.
 *
 * | word | failure before a response head | status |
 * |---|---|---|
 * | connect-failure | no connection | |
 * | refused-stream, reset-before-request | closed before a byte was sent | |
 * | reset-before-reply (our own word) | closed or reset; no time out, no malformed reply | |
 * | reset | closed, reset, or per-try time out | |
 * | gateway-error | all of them | 502, 503, 504 |
 * | 5xx | all of them | 500 to 599 |
 * | retriable-4xx | | 409 |
 * | retriable-status-codes | | those listed |
 * | cancelled, deadline-exceeded, resource-exhausted, internal, unavailable | | field `grpc-status` of the response
 * head: 1, 4, 8, 13, 14 |
 */
import type { RetryCondition, RetrySpec } from '../../../contracts/route-spec.ts'
import type { RetryPolicy } from './types.ts'

/** As a response head writes them. */
const grpcStatuses: Readonly<Partial<Record<RetryCondition, string>>> = {
  cancelled: '1',
  'deadline-exceeded': '4',
  'resource-exhausted': '8',
  internal: '13',
  unavailable: '14',
}

export function compileRetry(spec: RetrySpec | undefined): RetryPolicy | null {
  if (spec === undefined || spec.attempts === 0) return null
  const on = new Set<RetryCondition>(spec.on)
  const anyFailure = on.has('5xx') || on.has('gateway-error')
  const onReset = anyFailure || on.has('reset')
  const onResetBeforeReply = onReset || on.has('reset-before-reply')
  const grpcCodes = new Set(spec.on.flatMap((word) => grpcStatuses[word] ?? []))
  const statuses = retryStatuses(on, spec.statuses)
  return {
    spec,
    onStatus: (status) => statuses[status] === 1,
    readsGrpcStatus: grpcCodes.size > 0,
    onGrpcStatus: (code) => grpcCodes.has(code),
    onConnectFailure: anyFailure || on.has('connect-failure'),
    onReset,
    onResetBeforeReply,
    onResetBeforeRequest: onResetBeforeReply || on.has('reset-before-request') || on.has('refused-stream'),
  }
}

function retryStatuses(on: ReadonlySet<RetryCondition>, listed: readonly number[]): Uint8Array {
  const statuses = new Uint8Array(600)
  if (on.has('5xx')) statuses.fill(1, 500, 600)
  if (on.has('gateway-error')) statuses.fill(1, 502, 505)
  if (on.has('retriable-4xx')) statuses[409] = 1
  if (on.has('retriable-status-codes')) for (const status of listed) statuses[status] = 1
  return statuses
}
