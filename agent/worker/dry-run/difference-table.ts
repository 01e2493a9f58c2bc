/** Differences that were found, each with how often: bounded, whatever rules and requests bring. */
import { dryRunBounds, type DryRunDifference } from '../../../contracts/dry-run.ts'
import type { Difference } from './route-differences.ts'

export class DifferenceTable {
  private readonly rows = new Map<string, { row: Omit<DryRunDifference, 'requests'>; requests: number }>()
  /** Found, but in no row. */
  others = 0

  add({ kind, now, then }: Difference, host: string, route: string, example: () => string): void {
    const key = `${kind}\n${host}\n${route}\n${now}\n${then}`
    const known = this.rows.get(key)
    if (known !== undefined) known.requests++
    else if (this.rows.size >= dryRunBounds.differences) this.others++
    else {
      const row = { kind, host: cut(host), route: cut(route), now: cut(now), then: cut(then), example: cut(example()) }
      this.rows.set(key, { row, requests: 1 })
    }
  }

  /** The most frequent first. */
  all(): DryRunDifference[] {
    return [...this.rows.values()]
      .map(({ row, requests }) => ({ ...row, requests }))
      .toSorted((a, b) => b.requests - a.requests)
  }
}

export function cut(text: string): string {
  return text.length <= dryRunBounds.text ? text : `${text.slice(0, dryRunBounds.text - 1)}…`
}
