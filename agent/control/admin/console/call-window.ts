/**
 * Who called whom over the last minute: rates, failures and p99 by caller, service and tier, out of counters.
 *
 * Counters of several hosts are added up by what each gained since it was last looked at, so that a host that restarts
 * or leaves takes nothing away. Nothing runs by itself: a look is taken when somebody asks. Bounds: 5,000 edges (there,
 * those that no host names any more are forgotten, and what is still too much counts as `left`), of each host 1,000
 * edges that it names no more, 13 looks.
 */
import type { CallEdge, CallGraph } from '../../../../contracts/call-graph.ts'
import { p99Bucket } from '../traffic-by-service.ts'

export interface CallRow {
  readonly source: string
  /** Service key. */
  readonly target: string
  readonly tier: string
  readonly requests: number
  readonly failures: number
  /** Requests by bucket of duration, the last one is +Inf. */
  readonly counts: readonly number[]
}

/** Counters of one host; the same object as last time = nothing new. */
export interface CallCounters {
  readonly host: string
  readonly identity: object
  /** Upper bounds in ms, without +Inf. */
  readonly bounds: readonly number[]
  readonly rows: () => readonly CallRow[]
}

interface Counted {
  requests: number
  failures: number
  readonly counts: number[]
}

interface Total extends Counted {
  readonly source: string
  readonly target: string
  readonly tier: string
}

interface Look {
  readonly at: number
  readonly totals: Map<string, Counted>
}

/** The last counters of a host, by edge. */
interface Seen {
  readonly identity: object
  readonly rows: ReadonlyMap<string, CallRow>
  /** Those that it names no more: the least busy of a long report come and go. */
  readonly left: ReadonlyMap<string, CallRow>
}

const maxEdges = 5000
/** Of a host that are remembered. */
const maxLeft = 1000
const maxLooks = 13
const leastBetweenMs = 5000
const leastWindowMs = 1000
const longestWindowMs = 70_000

export class CallWindow {
  private readonly totals = new Map<string, Total>()
  private readonly seen = new Map<string, Seen>()
  private looks: Look[] = []
  private bounds: readonly number[] = []
  private left = 0
  private hasForgotten = false

  /** `now`: monotonic ms. */
  look(hosts: readonly CallCounters[], now: number): CallGraph {
    this.left = 0
    this.hasForgotten = false
    const present = new Set(hosts.map(({ host }) => host))
    for (const host of this.seen.keys()) if (!present.has(host)) this.seen.delete(host)
    if (this.bounds.length === 0) this.bounds = usualScale(hosts)
    for (const host of hosts) this.take(host)
    this.looks = this.looks.filter(({ at }) => now - at <= longestWindowMs)
    const base = this.looks.find(({ at }) => now - at >= leastWindowMs)
    const graph = this.graph(base, now)
    const last = this.looks.at(-1)
    if (last === undefined || now - last.at >= leastBetweenMs) this.keep(now)
    return graph
  }

  private take({ bounds, host, identity, rows }: CallCounters): void {
    const before = this.seen.get(host)
    if (before?.identity === identity) return
    const isSameScale = bounds.length === this.bounds.length && bounds.every((one, at) => one === this.bounds[at])
    const now = new Map<string, CallRow>()
    for (const row of rows()) {
      const key = `${row.source}\n${row.target}\n${row.tier}`
      now.set(key, row)
      const total = this.totalOf(key, row, now)
      if (total === undefined) continue
      const last = before?.rows.get(key) ?? before?.left.get(key)
      // counters that are smaller than they were began anew
      const base = last === undefined || row.requests < last.requests ? undefined : last
      total.requests += row.requests - (base?.requests ?? 0)
      total.failures += Math.max(0, row.failures - (base?.failures ?? 0))
      if (!isSameScale) continue
      for (const [at, count] of row.counts.entries())
        total.counts[at] = (total.counts[at] ?? 0) + Math.max(0, count - (base?.counts[at] ?? 0))
    }
    this.seen.set(host, { identity, rows: now, left: leftOf(before, now) })
    // what a host had counted before it was first seen happened before this window
    if (before === undefined) this.raise(now)
  }

  private totalOf(
    key: string,
    { source, target, tier }: CallRow,
    taken: ReadonlyMap<string, CallRow>,
  ): Total | undefined {
    const known = this.totals.get(key)
    if (known !== undefined) return known
    if (this.totals.size >= maxEdges) this.forgetUnnamed(taken)
    if (this.totals.size >= maxEdges) {
      this.left++
      return undefined
    }
    const total = { source, target, tier, requests: 0, failures: 0, counts: [] }
    this.totals.set(key, total)
    return total
  }

  /** Once a look. `taken`: of the host that is being taken. */
  private forgetUnnamed(taken: ReadonlyMap<string, CallRow>): void {
    if (this.hasForgotten) return
    this.hasForgotten = true
    const named = [taken, ...[...this.seen.values()].map(({ rows }) => rows)]
    for (const key of this.totals.keys()) {
      if (named.some((rows) => rows.has(key))) continue
      this.totals.delete(key)
      for (const { totals } of this.looks) totals.delete(key)
    }
  }

  private raise(rows: ReadonlyMap<string, CallRow>): void {
    for (const { totals } of this.looks)
      for (const [key, row] of rows) {
        const total = totals.get(key)
        if (total === undefined) {
          totals.set(key, { requests: row.requests, failures: row.failures, counts: [...row.counts] })
          continue
        }
        total.requests += row.requests
        total.failures += row.failures
        for (const [at, count] of row.counts.entries()) total.counts[at] = (total.counts[at] ?? 0) + count
      }
  }

  private keep(at: number): void {
    const totals = new Map(
      [...this.totals].map(([key, { counts, failures, requests }]) => [
        key,
        { requests, failures, counts: [...counts] },
      ]),
    )
    this.looks.push({ at, totals })
    if (this.looks.length > maxLooks) this.looks.shift()
  }

  private graph(base: Look | undefined, now: number): CallGraph {
    const windowMs = base === undefined ? 0 : now - base.at
    const edges = [...this.totals].map(([key, { counts, failures, requests, source, target, tier }]): CallEdge => {
      if (base === undefined)
        return { source, target, tier, requests, failures, rate: null, failureRate: null, p99Ms: this.p99(counts) }
      const earlier = base.totals.get(key)
      const gained = counts.map((count, at) => count - (earlier?.counts[at] ?? 0))
      return {
        source,
        target,
        tier,
        requests,
        failures,
        rate: ((requests - (earlier?.requests ?? 0)) * 1000) / windowMs,
        failureRate: ((failures - (earlier?.failures ?? 0)) * 1000) / windowMs,
        p99Ms: this.p99(gained),
      }
    })
    return { windowMs, edges: edges.filter(({ requests }) => requests > 0), left: this.left }
  }

  private p99(counts: readonly number[]): number | null {
    const at = p99Bucket(counts)
    return at === undefined ? null : (this.bounds[at] ?? null)
  }
}

function leftOf(before: Seen | undefined, now: ReadonlyMap<string, CallRow>): ReadonlyMap<string, CallRow> {
  const left = new Map([...(before?.left ?? []), ...(before?.rows ?? [])].filter(([key]) => !now.has(key)))
  return left.size > maxLeft ? new Map() : left
}

/** Of most hosts: one that counts otherwise must not decide for the others. */
function usualScale(hosts: readonly CallCounters[]): readonly number[] {
  const found = new Map<string, { readonly bounds: readonly number[]; hosts: number }>()
  for (const { bounds } of hosts) {
    if (bounds.length === 0) continue
    const key = bounds.join()
    const scale = found.get(key) ?? { bounds, hosts: 0 }
    found.set(key, scale)
    scale.hosts++
  }
  return [...found.values()].toSorted((a, b) => b.hosts - a.hosts)[0]?.bounds ?? []
}
