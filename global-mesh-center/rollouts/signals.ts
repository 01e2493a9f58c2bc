/** Golden signals of groups of hosts, out of their reports: what came since the roll-out began. */
import { p99Bucket } from '../../agent/control/admin/traffic-by-service.ts'
import { reportBounds, type HostReport, type ReportedTraffic } from '../../contracts/host-report.ts'

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
 * Of the requests that a host sent: those to these services, `public/orders`, and those that got to none; undefined =
 * all. Pure.
 */
function rowsOf({ traffic }: HostReport, services: ReadonlySet<string> | undefined): readonly ReportedTraffic[] {
  return traffic.filter(
    ({ reporter, service }) =>
      reporter === 'source' && (services === undefined || services.has(service) || service === nowhere),
  )
}

/** What of `now` came after `before`; counters that are smaller than they were began anew. Pure. */
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
  return { hosts: all.length, ...summed(all), bucketsMs }
}

/** Upper bound of the bucket that holds it, ms; 0 = nothing was counted, Infinity = beyond all bounds. Pure. */
export function p99({ counts, bucketsMs }: Pick<Signals, 'counts' | 'bucketsMs'>): number {
  const at = p99Bucket(counts)
  return at === undefined ? 0 : (bucketsMs[at] ?? Number.POSITIVE_INFINITY)
}

/** Rows of one host that are remembered although its report names them no more. */
const maxRows = 2 * reportBounds.traffic

/**
 * One host since a roll-out began, row by row: one that leaves the report takes nothing away, and its return brings
 * nothing back. A host that was restarted hands its counters on or begins anew, which is seen by row, too.
 */
export class HostSignals {
  /** What the host had when it was heard first, for a comparison with itself. */
  readonly before: Figures
  private readonly services: ReadonlySet<string> | undefined
  private readonly rows = new Map<string, Figures>()
  private sum: Figures = none
  /** The least busy rows were left out of the last report: one that is new may be old. */
  private wasFull = false

  /** `services`: `public/orders`; undefined = all. */
  constructor(first: HostReport, services: ReadonlySet<string> | undefined) {
    this.services = services
    const rows = rowsOf(first, services)
    this.before = summed(rows)
    for (const row of rows) this.rows.set(keyOf(row), row)
    this.wasFull = first.traffic.length >= reportBounds.traffic
  }

  take(now: HostReport): void {
    const rows = rowsOf(now, this.services)
    const news = rows.map((row) => since(row, this.rows.get(keyOf(row)) ?? (this.wasFull ? row : none)))
    this.sum = summed([this.sum, ...news])
    const named = new Map(rows.map((row) => [keyOf(row), row]))
    if (this.rows.size + named.size > maxRows) this.rows.clear()
    for (const [key, row] of named) this.rows.set(key, row)
    this.wasFull = now.traffic.length >= reportBounds.traffic
  }

  figures(): Figures {
    return this.sum
  }
}

function keyOf({ service, source }: ReportedTraffic): string {
  return `${source}\n${service}`
}

function summed(all: readonly Figures[]): Figures {
  const counts: number[] = []
  for (const { counts: more } of all) for (const [at, count] of more.entries()) counts[at] = (counts[at] ?? 0) + count
  return {
    requests: all.reduce((sum, { requests }) => sum + requests, 0),
    failures: all.reduce((sum, { failures }) => sum + failures, 0),
    counts,
  }
}
