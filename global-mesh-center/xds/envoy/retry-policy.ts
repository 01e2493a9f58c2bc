/**
 * Retries in the words of Envoy, which repeats a request of any method for any of its conditions. What an endpoint may
 * have read is repeated for idempotent methods alone here too: such a policy becomes two, each for a route of its own.
 */
import type { Plain } from '../../../contracts/envoy-api/message-form.ts'
import type { RetryCondition, RetrySpec } from '../../../contracts/route-spec.ts'
import type { Flavour } from './cluster-name.ts'
import { given, type LeftOut } from './translation.ts'

/** Nothing was read, or a rule names the status of gRPC: any method. */
const always: ReadonlySet<RetryCondition> = new Set<RetryCondition>([
  'connect-failure',
  'refused-stream',
  'reset-before-request',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
])
const ofGrpc: ReadonlySet<RetryCondition> = new Set<RetryCondition>([
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
])
/** Envoy's word for a condition that has another name there. */
const envoyWords: Partial<Readonly<Record<RetryCondition, string>>> = { 'reset-before-reply': 'reset' }

const maxOtherEndpoints = 5

export interface RetryPolicies {
  /** For methods that may be repeated. */
  readonly idempotent: Plain | undefined
  /** For all others. */
  readonly other: Plain | undefined
}

/** Methods that may be carried out twice (RFC 9110 section 9.2.2), as a condition of a route. */
export const idempotentMethod: Plain = {
  name: ':method',
  string_match: { safe_regex: { regex: 'GET|HEAD|OPTIONS|TRACE|PUT|DELETE' } },
}

/** `staysWithHash`: a hash chooses the endpoint. */
export function retryPolicies(
  retry: RetrySpec | undefined,
  staysWithHash: boolean,
  flavour: Flavour,
  leftOut: LeftOut,
): RetryPolicies {
  if (retry === undefined || retry.attempts === 0) return { idempotent: undefined, other: undefined }
  if (flavour === 'grpc') {
    const named = retry.on.filter((one) => ofGrpc.has(one))
    if (named.length < retry.on.filter((one) => !always.has(one) || ofGrpc.has(one)).length)
      leftOut.add('retries for conditions of HTTP: clients of gRPC repeat for statuses of gRPC')
    const policy = named.length === 0 ? undefined : policyOf(retry, named, 'grpc', true)
    return { idempotent: policy, other: policy }
  }
  const idempotent = policyOf(retry, retry.on, flavour, staysWithHash)
  if (retry.all === true || retry.on.every((one) => always.has(one))) return { idempotent, other: idempotent }
  const safe = retry.on.filter((one) => always.has(one))
  return { idempotent, other: safe.length === 0 ? undefined : policyOf(retry, safe, flavour, staysWithHash) }
}

function policyOf(retry: RetrySpec, on: readonly RetryCondition[], flavour: Flavour, staysWithHash: boolean): Plain {
  const { attempts, perTryTimeoutMs, statuses, backoffMs, ignorePreviousHosts } = retry
  const goesElsewhere = flavour === 'outbound' && (ignorePreviousHosts ?? !staysWithHash)
  const words = [...new Set(on.map((one) => envoyWords[one] ?? one))]
  return given({
    retry_on: words.join(','),
    num_retries: attempts,
    per_try_timeout: perTryTimeoutMs === 0 ? undefined : perTryTimeoutMs,
    retriable_status_codes: on.includes('retriable-status-codes') ? statuses : undefined,
    retry_back_off: { base_interval: Math.max(1, backoffMs), max_interval: Math.max(1, backoffMs) * 10 },
    ...(goesElsewhere
      ? {
          retry_host_predicate: [
            {
              name: 'envoy.retry_host_predicates.previous_hosts',
              typed_config: { '@type': 'envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate' },
            },
          ],
          host_selection_retry_max_attempts: maxOtherEndpoints,
        }
      : {}),
  })
}
