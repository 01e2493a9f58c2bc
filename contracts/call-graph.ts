/** Who called whom lately: what the console draws, and who answers it. */

export interface CallEdge {
  readonly source: string
  readonly target: string
  readonly tier: string
  readonly requests: number
  readonly failures: number
  /** Per second; null = there is no earlier look yet. */
  readonly rate: number | null
  readonly failureRate: number | null
  /** Upper bound of the bucket that holds it, ms; null = no request, or slower than every bound. */
  readonly p99Ms: number | null
}

export interface CallGraph {
  /** 0 = no earlier look. */
  readonly windowMs: number
  readonly edges: readonly CallEdge[]
  readonly left: number
}
