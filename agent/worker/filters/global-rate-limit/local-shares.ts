/**
 * What a rate-limit service said last of limits, and the share of each that this worker applies while nobody can be
 * asked. Bound: 4,096 descriptors; of further ones those that were not asked about for longest are forgotten.
 */
import { limitUnits, unitMs, type DescriptorStatus, type LimitUnit } from '../../../../contracts/rate-limit-wire.ts'
import { TwoHalves } from '../../../../contracts/two-halves.ts'
import { TokenBucket } from '../token-bucket.ts'

const maxKept = 4096

/** What was left of a share when it was handed over. */
interface Left {
  readonly tokens: number
  /** Monotonic ms. */
  readonly at: number
}

interface Learned {
  requests: number
  unit: LimitUnit
  remaining: number
  /** Monotonic ms at which `remaining` holds no more. */
  until: number
  /** null: the service decided last. */
  bucket: TokenBucket | null
  /** Of the bucket that a worker before this one had. */
  left: Left | null
}

export class LocalShares {
  private readonly kept = new TwoHalves<Learned>(maxKept)

  /** A service that knows no limit for the descriptor takes back one that it knew. */
  learn(key: string, { limit, remaining, resetMs }: DescriptorStatus, now: number): void {
    const known = this.kept.get(key)
    if (limit === undefined) {
      if (known !== undefined) known.requests = -1
      return
    }
    const { requestsPerUnit: requests, unit } = limit
    const learned = { requests, unit, remaining, until: now + resetMs, bucket: null, left: null }
    if (known === undefined) this.kept.set(key, learned)
    else Object.assign(known, learned)
  }

  /** Whether the share (above 0, up to 1) lets a request with so many hits pass; undefined: of no limit is known. */
  take(key: string, hits: number, share: number, now: number): { readonly waitMs: number } | undefined {
    const known = this.kept.get(key)
    if (known === undefined || known.requests < 0) return undefined
    const { requests, unit } = known
    if (requests === 0) return { waitMs: unitMs[unit] }
    // at least one, or a limit smaller than the number of workers would refuse everything
    const maxTokens = Math.max(1, requests * share)
    const said = now < known.until ? Math.max(0, Math.min(maxTokens, known.remaining * share)) : maxTokens
    const { at, tokens } = known.left ?? { tokens: said, at: now }
    const rate = { maxTokens, tokensPerFill: requests * share, fillIntervalMs: unitMs[unit] }
    known.bucket ??= new TokenBucket(rate, at, tokens)
    for (let at = 0; at < Math.min(hits, maxTokens); at++)
      if (!known.bucket.take(now)) return { waitMs: known.bucket.waitMs(now) }
    return { waitMs: 0 }
  }

  /** Plain data: by key the limit, its unit, what was left of it and for how many ms, and what the share has left. */
  exportState(now: number): Record<string, unknown> {
    return Object.fromEntries(
      [...this.kept.entries()].map(([key, { bucket, left, remaining, requests, unit, until }]) => {
        const tokens = bucket?.tokens(now) ?? left?.tokens
        return [key, [requests, unit, remaining, Math.max(0, until - now), ...(tokens === undefined ? [] : [tokens])]]
      }),
    )
  }

  /**
   * Tolerates anything; what was heard since is newer. Earlier releases say no time and no tokens: their shares begin
   * full.
   */
  importState(state: unknown, now: number): void {
    if (typeof state !== 'object' || state === null) return
    for (const [key, value] of Object.entries(state).slice(-maxKept)) {
      if (!Array.isArray(value) || this.kept.get(key) !== undefined) continue
      const [requests, unit, remaining, ms, tokens] = value as unknown[]
      if (!isCount(requests) || !isCount(remaining) || !isUnit(unit)) continue
      const until = now + (isCount(ms) ? Math.min(ms, unitMs[unit]) : 0)
      const left = isCount(tokens) ? { tokens, at: now } : null
      this.kept.set(key, { requests, unit, remaining, until, bucket: null, left })
    }
  }
}

function isUnit(value: unknown): value is LimitUnit {
  return limitUnits.includes(value as LimitUnit)
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}
