/** What of the rules foreign clients are not told, since their words have nothing for it: a page and a gauge of it. */
import type { AdapterMetrics } from '../../../contracts/registry-adapter.ts'

export interface LeftOutRow {
  /** Of the resource in which it is missing. */
  readonly type: string
  readonly name: string
  readonly what: readonly string[]
}

/** Rows are their owners': two clients whose nodes differ may have different routes of one name. */
export class LeftOutTable {
  private readonly byOwner = new Map<object, LeftOutRow>()
  private readonly metrics: Pick<AdapterMetrics, 'gauge'>

  constructor(metrics: Pick<AdapterMetrics, 'gauge'>) {
    this.metrics = metrics
  }

  set(owner: object, row: LeftOutRow): void {
    if (row.what.length === 0) return this.clear(owner)
    this.byOwner.set(owner, row)
    this.count()
  }

  clear(owner: object): void {
    if (this.byOwner.delete(owner)) this.count()
  }

  rows(): readonly LeftOutRow[] {
    return [...this.byOwner.values()]
  }

  private count(): void {
    this.metrics.gauge('xds_left_out', {}, this.byOwner.size)
  }
}
