/** `retryOn` as Istio and Envoy write it: words and status codes with commas between them. */
import type { RetryCondition, RetrySpec } from '../../../../contracts/route-spec.ts'

export type RetryOn = Pick<RetrySpec, 'on' | 'statuses'>

const words: readonly RetryCondition[] = [
  'connect-failure',
  'refused-stream',
  'reset',
  'reset-before-request',
  'reset-before-reply',
  'gateway-error',
  '5xx',
  'retriable-4xx',
  'cancelled',
  'deadline-exceeded',
  'internal',
  'resource-exhausted',
  'unavailable',
  'retriable-status-codes',
]

/** Envoy's other words, and what to use. */
const envoyWords: ReadonlyMap<string, string> = new Map([
  ['envoy-ratelimited', 'use 429'],
  ['http3-post-connect-failure', 'HTTP/3 is not spoken'],
  ['retriable-headers', 'use status codes'],
])

/**
 * What is retried when a rule does not say: what never reached the application, and what an endpoint may have read but
 * broke off without a reply, which is repeated for idempotent methods alone (R31). The first three are Istio's default
 * since 1.24, which took 503 out because a 503 may come from an application that has done the work. So may gRPC's
 * UNAVAILABLE, which Istio leaves in. The last is the default of nginx (`proxy_next_upstream error`): without it an
 * instance that stops costs its last GETs, if they came on a fresh connection. A time that ran out is not repeated.
 */
export const defaultRetryOn: RetryOn = {
  on: ['connect-failure', 'refused-stream', 'reset-before-request', 'reset-before-reply'],
  statuses: [],
}

/** Istio: two retries, 25 ms before the first. */
export const defaultRetry: RetrySpec = { attempts: 2, perTryTimeoutMs: 0, ...defaultRetryOn, backoffMs: 25 }

/** The problem as text, if there is one. */
export function parseRetryOn(value: unknown): RetryOn | string {
  if (typeof value !== 'string') return 'found no text, allowed words with commas between them'
  const on = new Set<RetryCondition>()
  const statuses = new Set<number>()
  for (const word of value.split(',').map((part) => part.trim())) {
    if (word === '') continue
    const known = words.find((candidate) => candidate === word)
    if (known !== undefined) on.add(known)
    else if (/^[45]\d\d$/.test(word)) statuses.add(Number(word))
    else if (envoyWords.has(word)) return `${word} is not implemented by this version; ${envoyWords.get(word)}`
    else return `${JSON.stringify(word)} is no condition, allowed ${words.join(', ')} and status codes from 400 to 599`
  }
  if (statuses.size > 0) on.add('retriable-status-codes')
  if (on.size === 0) return 'an empty list; to switch retries off use attempts: 0'
  return { on: [...on], statuses: [...statuses] }
}
