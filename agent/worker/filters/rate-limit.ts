/**
 * Local rate limits: a bucket for the route, or one for each calling application. A request without a token is answered
 * with the limit's status (429), `E_RATE_LIMITED` and `retry-after`; a raw connection without one is reset, flag `RL`.
 *
 * Bound: 1,024 calling applications per limit; beyond it the one that has not called for longest is forgotten, and
 * starts with a full bucket when it returns. Callers that are not known share one bucket. A worker owns `share` of the
 * limit, so that all workers of a host together keep it.
 */
import type { FilterSpec, RateLimitSpec } from '../../../contracts/route-spec.ts'
import { headers } from '../../../contracts/words.ts'
import type { Fields } from '../route/fields.ts'
import type { RequestView } from '../route/request-view.ts'
import { plainText, refusal } from './answer.ts'
import type { Answer } from './answer.ts'
import type {
  ConnectionContext,
  ConnectionFilter,
  ConnectionRefusal,
  Filter,
  FilterContext,
  FilterCounts,
  FilterVerdict,
  StatefulFilter,
} from './filter.ts'
import type { FilterKind } from './kind.ts'
import { TokenBucket } from './token-bucket.ts'
import type { BucketRate } from './token-bucket.ts'

export const maxSourceApps = 1024

const wholeRoute = ''
const refused: ConnectionRefusal = { kind: 'answer', flag: 'RL' }

export const rateLimitKind: FilterKind<Extract<FilterSpec, { kind: 'rate-limit' }>, RateLimiter> = {
  kind: 'rate-limit',
  make(limit, { counts, former, host, limitShare, now, route }) {
    const stateId = `${host}\n${route.name}\n${limit.name}`
    const known = former(stateId)
    if (known === undefined) return new RateLimiter(stateId, limit, limitShare, counts)
    known.update(limit, limitShare, now)
    return known
  },
}

export class RateLimiter implements Filter, ConnectionFilter, StatefulFilter {
  readonly kind = 'rate-limit'
  readonly stateId: string
  private spec: RateLimitSpec
  private rate: BucketRate
  private readonly buckets = new Map<string, TokenBucket>()
  private readonly counts: FilterCounts
  /** The last refusal, good for all that say the same time to wait. */
  private refusal: Answer | null = null
  private refusalSeconds = 0

  constructor(stateId: string, spec: RateLimitSpec, share: number, counts: FilterCounts) {
    this.stateId = stateId
    this.counts = counts
    this.spec = spec
    this.rate = rateOf(spec, share)
  }

  onRequest({ view, now }: FilterContext): FilterVerdict {
    const bucket = this.bucket(this.spec.per === 'route' ? wholeRoute : this.caller(view), now)
    if (bucket.take(now)) return null
    this.counts.rateLimited++
    const seconds = Math.max(1, Math.ceil(bucket.waitMs(now) / 1000))
    if (this.refusal === null || this.refusalSeconds !== seconds) {
      const { name, origin, status } = this.spec
      const text = `rate limit ${name} of ${origin.kind} ${origin.name} is reached`
      const fields: Fields = [...plainText, ['retry-after', String(seconds)]]
      this.refusal = refusal(status, 'E_RATE_LIMITED', 'RL', text, fields)
      this.refusalSeconds = seconds
    }
    return this.refusal
  }

  /** A token for the connection, whatever it carries. */
  onConnection({ view, now }: ConnectionContext): ConnectionRefusal | null {
    const app = this.spec.per === 'route' ? wholeRoute : (view.source?.app ?? wholeRoute)
    if (this.bucket(app, now).take(now)) return null
    this.counts.rateLimited++
    return refused
  }

  /** The same limit with new figures; buckets keep what was used up, unless it now counts by something else. */
  update(spec: RateLimitSpec, share: number, now: number): void {
    if (spec.per !== this.spec.per) this.buckets.clear()
    this.spec = spec
    this.refusal = null
    this.rate = rateOf(spec, share)
    for (const bucket of this.buckets.values()) bucket.setRate(this.rate, now)
  }

  explain(): string {
    const { name, origin, per, status } = this.spec
    return `answers ${status} beyond limit ${name} of ${origin.kind} ${origin.name}, per ${per}`
  }

  explainConnection(): string {
    const { name, origin, per } = this.spec
    return `resets connections beyond limit ${name} of ${origin.kind} ${origin.name}, per ${per}`
  }

  get trackedApps(): number {
    return this.buckets.size
  }

  /** Plain data for the next generation: tokens by application. */
  exportState(now: number): Record<string, number> {
    const tokens: Record<string, number> = {}
    for (const [app, bucket] of this.buckets) tokens[app] = bucket.tokens(now)
    return tokens
  }

  /** Tolerates anything; what it does not understand is dropped. */
  importState(state: unknown, now: number): void {
    if (typeof state !== 'object' || state === null) return
    for (const [app, tokens] of Object.entries(state).slice(-maxSourceApps)) {
      if (typeof tokens === 'number' && Number.isFinite(tokens)) {
        this.buckets.set(app, new TokenBucket(this.rate, now, Math.max(0, tokens)))
      }
    }
  }

  private caller(view: RequestView): string {
    const named = this.spec.bySourceHeader === true ? view.header(headers.source) : undefined
    return view.source?.app ?? named ?? wholeRoute
  }

  private bucket(app: string, now: number): TokenBucket {
    const known = this.buckets.get(app)
    if (known !== undefined) {
      if (this.spec.per === 'source-app') {
        this.buckets.delete(app)
        this.buckets.set(app, known)
      }
      return known
    }
    if (this.buckets.size >= maxSourceApps) {
      this.buckets.delete(this.buckets.keys().next().value!)
      this.counts.forgottenCallers++
    }
    const bucket = new TokenBucket(this.rate, now)
    this.buckets.set(app, bucket)
    return bucket
  }
}

/** At least one token, or a limit smaller than the number of workers would refuse everything. */
function rateOf(spec: RateLimitSpec, share: number): BucketRate {
  return {
    maxTokens: Math.max(1, spec.maxTokens * share),
    tokensPerFill: spec.tokensPerFill * share,
    fillIntervalMs: spec.fillIntervalMs,
  }
}
