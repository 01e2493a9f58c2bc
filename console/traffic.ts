/** Sums of the graph's edges: by service, and of everything; a short memory of the latter for the chart. */
import type { CallGraph } from '../contracts/call-graph.ts'

export interface ServiceTraffic {
  readonly service: string
  readonly rate: number | null
  readonly failureRate: number | null
  /** The slowest of its callers'. */
  readonly p99Ms: number | null
  readonly requests: number
}

export function byService({ edges }: Pick<CallGraph, 'edges'>): Map<string, ServiceTraffic> {
  const found = new Map<string, ServiceTraffic>()
  for (const { failureRate, p99Ms, rate, requests, target } of edges) {
    const sum = found.get(target)
    found.set(target, {
      service: target,
      rate: added(sum?.rate, rate),
      failureRate: added(sum?.failureRate, failureRate),
      p99Ms: slower(sum?.p99Ms, p99Ms),
      requests: requests + (sum?.requests ?? 0),
    })
  }
  return found
}

/** Of what is known of the two; null = of neither. */
export function added(a: number | null | undefined, b: number | null): number | null {
  return a === null || a === undefined || b === null ? (a ?? b) : a + b
}

/** The same for the larger one. */
export function slower(a: number | null | undefined, b: number | null): number | null {
  return a === null || a === undefined || b === null ? (a ?? b) : Math.max(a, b)
}

export interface Moment {
  readonly at: number
  readonly rate: number
  readonly failureRate: number
}

const mostMoments = 240

/** Kept while the tab is open, also when another page is shown. */
const moments: Moment[] = []

export function remember(graph: CallGraph, at: number): readonly Moment[] {
  const known = graph.edges.filter(({ rate }) => rate !== null)
  if (known.length > 0 || graph.edges.length === 0) {
    const sum = (of: 'rate' | 'failureRate'): number => known.reduce((all, edge) => all + (edge[of] ?? 0), 0)
    moments.push({ at, rate: sum('rate'), failureRate: sum('failureRate') })
    if (moments.length > mostMoments) moments.shift()
  }
  return moments
}
