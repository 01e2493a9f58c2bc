import { Verdict } from './filter.ts'
import type { RouteFilter } from './filter.ts'

const verdictNames = Object.keys(Verdict)

/**
 * How often the filters of each kind said what, `hostmesh_filter_total{filter,verdict}`: three numbers per kind in one
 * typed array. Where a filter counts is decided when its route is compiled, so that a verdict costs an addition.
 */
export class VerdictCounts {
  private readonly kinds: readonly string[]
  private readonly values: Float64Array

  constructor(kinds: readonly { readonly kind: string }[]) {
    this.kinds = kinds.map(({ kind }) => kind)
    this.values = new Float64Array(kinds.length * verdictNames.length)
  }

  /** A filter of one of the kinds, counted by it. */
  counted<F extends { readonly kind: string }>(filter: F): RouteFilter<F> {
    return { filter, verdicts: this.values, at: this.kinds.indexOf(filter.kind) * verdictNames.length }
  }

  /** Labels are filter and verdict; only what happened. */
  samples(): { readonly labels: readonly string[]; readonly value: number }[] {
    return this.kinds.flatMap((kind, row) =>
      verdictNames
        .map((verdict, offset) => ({ labels: [kind, verdict], value: this.values[this.at(row) + offset]! }))
        .filter(({ value }) => value > 0),
    )
  }

  reset(): void {
    this.values.fill(0)
  }

  exportState(): Record<string, readonly number[]> {
    return Object.fromEntries(
      this.kinds.map((kind, row) => [kind, [...this.values.subarray(this.at(row), this.at(row + 1))]]),
    )
  }

  /** Adds a predecessor's counts; tolerates anything. */
  importState(state: unknown): void {
    if (typeof state !== 'object' || state === null) return
    for (const [kind, counts] of Object.entries(state)) {
      const row = this.kinds.indexOf(kind)
      if (row < 0 || !Array.isArray(counts)) continue
      for (const offset of Object.values(Verdict)) {
        const count: unknown = counts[offset]
        if (typeof count === 'number' && Number.isFinite(count)) this.values[this.at(row) + offset]! += count
      }
    }
  }

  private at(row: number): number {
    return row * verdictNames.length
  }
}
