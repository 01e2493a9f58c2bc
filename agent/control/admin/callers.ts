/** What callers have of the workers and how they are held back, out of the answers of all workers. */
import type { ClusterDump, StatSeries } from '../../../contracts/control-link.ts'

export interface CallerFigures {
  readonly caller: string
  /** In hand, of those that are counted by caller. */
  requests: number
  refusals: number
  slowed: number
  waits: number
}

const fields = {
  hostmesh_caller_refusals_total: 'refusals',
  hostmesh_caller_slowed_total: 'slowed',
  hostmesh_caller_waits_total: 'waits',
} as const

/** The most refused first. */
export function callerFigures(series: readonly StatSeries[], clusters: readonly ClusterDump[]): CallerFigures[] {
  const found = new Map<string, CallerFigures>()
  const of = (caller: string): CallerFigures => {
    const known = found.get(caller) ?? { caller, requests: 0, refusals: 0, slowed: 0, waits: 0 }
    found.set(caller, known)
    return known
  }
  for (const { name, samples } of series) {
    const field = fields[name as keyof typeof fields]
    if (field === undefined) continue
    for (const { labels, value } of samples) of(labels[0] ?? '')[field] += value
  }
  for (const { callers } of clusters) for (const { caller, requests } of callers) of(caller).requests += requests
  return [...found.values()].toSorted((a, b) => b.refusals - a.refusals || a.caller.localeCompare(b.caller))
}

/** A heading and a row for each. */
export function callerTable(rows: readonly CallerFigures[]): string[][] {
  const heading = ['caller', 'requests in hand', 'refusals', 'slowed', 'waited for a turn']
  return [
    heading,
    ...rows.map((one) => [one.caller, ...[one.requests, one.refusals, one.slowed, one.waits].map(String)]),
  ]
}
