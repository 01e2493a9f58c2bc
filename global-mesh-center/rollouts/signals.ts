/**
 * Golden signals of groups of hosts, out of their reports: what came since the roll-out began. Counters of a host that
 * began anew count from zero.
 */
import { p99Bucket } from '../../agent/control/admin/traffic-by-service.ts'
import type { HostReport } from '../../contracts/host-report.ts'

export interface Signals {
  readonly hosts: number
  readonly requests: number
  readonly failures: number
  /** By bucket, the last one is +Inf. */
  readonly counts: readonly number[]
  /** Upper bounds, ms, without +Inf. */
  readonly bucketsMs: readonly number[]
}

export interface Figures {
  readonly requests: number
  readonly failures: number
  readonly counts: readonly number[]
}

const none: Figures = { requests: 0, failures: 0, counts: [] }

/** What a rule answered itself (a fault, a redirect, a limit) has no destination. */
const nowhere = 'unknown/unknown'

/**
 * Of the requests that a host sent to these services, `public/orders`, and of those that got to none; undefined = of
 * all. Pure.
 */
export function figuresOf({ traffic }: HostReport, services: ReadonlySet<string> | undefined): Figures {
  let requests = 0
  let failures = 0
  const counts: number[] = []
  for (const row of traffic) {
    const isMeant = services === undefined || services.has(row.service) || row.service === nowhere
    if (row.reporter !== 'source' || !isMeant) continue
    requests += row.requests
    failures += row.failures
    for (const [at, count] of row.counts.entries()) counts[at] = (counts[at] ?? 0) + count
  }
  return { requests, failures, counts }
}

/** What of `now` came after `before`. Pure. */
export function since(now: Figures, before: Figures): Figures {
  if (now.requests < before.requests || now.failures < before.failures) return now
  return {
    requests: now.requests - before.requests,
    failures: now.failures - before.failures,
    counts: now.counts.map((count, at) => Math.max(0, count - (before.counts[at] ?? 0))),
  }
}

/** Pure. */
export function added(all: readonly Figures[], bucketsMs: readonly number[]): Signals {
  const counts: number[] = []
  for (const { counts: more } of all) for (const [at, count] of more.entries()) counts[at] = (counts[at] ?? 0) + count
  return {
    hosts: all.length,
    requests: all.reduce((sum, { requests }) => sum + requests, 0),
    failures: all.reduce((sum, { failures }) => sum + failures, 0),
    counts,
    bucketsMs,
  }
}

/** Upper bound of the bucket that holds it, ms; 0 = nothing was counted, Infinity = beyond all bounds. Pure. */
export function p99({ counts, bucketsMs }: Pick<Signals, 'counts' | 'bucketsMs'>): number {
  const at = p99Bucket(counts)
  return at === undefined ? 0 : (bucketsMs[at] ?? Number.POSITIVE_INFINITY)
}

/** One host for which a roll-out keeps what it had at the start. */
export class HostSignals {
  private last: Figures = none
  /** What the host had when it was heard first, for a comparison with itself. */
  readonly before: Figures
  private base: Figures
  private sum: Figures = none

  constructor(first: Figures) {
    this.before = first
    this.base = first
    this.last = first
  }

  take(now: Figures): void {
    // it began anew: what it had counted so far stays counted
    if (now.requests < this.last.requests) {
      this.sum = joined(this.sum, since(this.last, this.base))
      this.base = none
    }
    this.last = now
  }

  figures(): Figures {
    return joined(this.sum, since(this.last, this.base))
  }
}

function joined(a: Figures, b: Figures): Figures {
  const { requests, failures, counts } = added([a, b], [])
  return { requests, failures, counts }
}
