/** What a caller is told of a shared limit. */
import type { DescriptorStatus, RateLimitAnswer } from '../../../../contracts/rate-limit-wire.ts'
import { plainText, type Answer } from '../answer.ts'
import type { Fields } from '../../route/fields.ts'

/** `fields`: of the service, already judged. */
export function overLimit(
  text: string,
  waitMs: number,
  { rawBody, responseFields }: Pick<RateLimitAnswer, 'rawBody' | 'responseFields'>,
): Answer {
  const hasType = responseFields.some(([name]) => name === 'content-type')
  const own: Fields = [
    ['x-envoy-ratelimited', 'true'],
    ['retry-after', String(Math.max(1, Math.ceil(waitMs / 1000)))],
  ]
  return {
    kind: 'answer',
    status: 429,
    code: 'E_RATE_LIMITED',
    flag: 'RL',
    fields: [...(hasType ? [] : plainText), ...own, ...responseFields],
    body: rawBody.length > 0 ? rawBody : Buffer.from(`${text}\n`, 'utf8'),
    details: 'request_rate_limited',
  }
}

/** Longest time until a limit that is reached begins anew. */
export function waitOf(statuses: readonly DescriptorStatus[]): number {
  return Math.max(0, ...statuses.map(({ code, resetMs }) => (code === 'over-limit' ? resetMs : 0)))
}

export function unlimitedRefused(): Answer {
  return {
    kind: 'answer',
    status: 500,
    code: 'E_RATE_LIMIT_UNAVAILABLE',
    flag: 'RLSE',
    fields: plainText,
    body: Buffer.from('E_RATE_LIMIT_UNAVAILABLE  nobody says whether a limit is reached\n', 'latin1'),
    details: 'rate_limiter_error',
  }
}
