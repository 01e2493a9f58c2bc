import type { StatSeries } from '../../../contracts/control-link.ts'
import type { HistogramBounds } from './histogram-bounds.ts'
import type { SeriesTable } from './series-table.ts'

/** A counter out of a table's rows: the number at `at` of each. */
export function counterSeries(
  name: string,
  help: string,
  labelNames: readonly string[],
  table: SeriesTable,
  at: number,
): StatSeries {
  return { name, kind: 'counter', help, labelNames, samples: table.samples(at) }
}

/** A histogram out of a table's rows: the sum at `sumAt`, the buckets from `bucketsAt`. */
export function histogramSeries(
  name: string,
  help: string,
  labelNames: readonly string[],
  table: SeriesTable,
  sumAt: number,
  bucketsAt: number,
  bounds: HistogramBounds,
): StatSeries {
  return {
    name,
    kind: 'histogram',
    help,
    labelNames,
    buckets: bounds.bounds,
    samples: [...table.entries()].map(({ labels, offset }) => ({
      labels,
      value: table.values[offset + sumAt]!,
      counts: [...table.values.subarray(offset + bucketsAt, offset + bucketsAt + bounds.size)],
    })),
  }
}
