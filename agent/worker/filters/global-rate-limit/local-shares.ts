/**
 * What a rate-limit service said last of limits, and the share of each that this worker applies while nobody can be
 * asked. Bound: 4,096 descriptors; of further ones those that were not asked about for longest are forgotten.
 */
import { limitUnits, unitMs, type DescriptorStatus, type LimitUnit } from '../../../../contracts/rate-limit-wire.ts'
import { TwoHalves } from '../../../../contracts/two-halves.ts'
import { TokenBucket } from '../token-bucket.ts'

const maxKept = 4096

interface Learned {
  requests: number
  unit: LimitUnit
  remaining: number
  /** Monotonic ms at which `remaining` holds no more. */
  until: number
  /** null: the service decided last. */
  bucket: TokenBucket | null
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
    const learned = { requests: limit.requestsPerUnit, unit: limit.unit, remaining, until: now + resetMs, bucket: null }
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
    const left = now < known.until ? Math.max(0, Math.min(maxTokens, known.remaining * share)) : maxTokens
    known.bucket ??= new TokenBucket(
      { maxTokens, tokensPerFill: requests * share, fillIntervalMs: unitMs[unit] },
      now,
      left,
    )
    for (let at = 0; at < Math.min(hits, maxTokens); at++)
      if (!known.bucket.take(now)) return { waitMs: known.bucket.waitMs(now) }
    return { waitMs: 0 }
  }

  /** Plain data: by key the limit, its unit and what a bucket holds. */
  exportState(): Record<string, unknown> {
    return Object.fromEntries(
      [...this.kept.entries()].map(([key, { remaining, requests, unit }]) => [key, [requests, unit, remaining]]),
    )
  }

  /** Tolerates anything; what was heard since is newer. */
  importState(state: unknown): void {
    if (typeof state !== 'object' || state === null) return
    for (const [key, value] of Object.entries(state).slice(-maxKept)) {
      if (!Array.isArray(value) || this.kept.get(key) !== undefined) continue
      const [requests, unit, remaining] = value as unknown[]
      if (!isCount(requests) || !isCount(remaining) || !limitUnits.includes(unit as LimitUnit)) continue
      this.kept.set(key, { requests, unit: unit as LimitUnit, remaining, until: 0, bucket: null })
    }
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}
