/**
 * Rows of numbers in one typed array, one row per combination of labels. The data path holds row numbers, so that
 * counting is an addition; labels are only written when a combination is seen for the first time, and read when
 * somebody asks for the metrics.
 *
 * Bound: `maxRows` rows; further combinations are counted together in the first row, whose labels all say `other`.
 */
export class SeriesTable {
  readonly stride: number
  /** Another array after a new row: read it after `offsetOf`, never before. */
  values: Float64Array
  private readonly labels: (readonly string[])[] = []
  private readonly rows = new Map<string, number>()
  private readonly maxRows: number
  /** Combinations that found no room. */
  overflows = 0

  constructor(stride: number, labelCount: number, maxRows = 4096) {
    this.stride = stride
    this.maxRows = maxRows
    this.values = new Float64Array(stride * 16)
    this.labels.push(Array.from({ length: labelCount }, () => 'other'))
  }

  /** Offset of the first number of the row with these labels. */
  offsetOf(labels: readonly string[]): number {
    const key = labels.join('\n')
    const known = this.rows.get(key)
    if (known !== undefined) return known * this.stride
    if (this.labels.length >= this.maxRows) {
      this.overflows++
      return 0
    }
    const row = this.labels.length
    this.labels.push(labels)
    this.rows.set(key, row)
    if ((row + 1) * this.stride > this.values.length) {
      const grown = new Float64Array(this.values.length * 2)
      grown.set(this.values)
      this.values = grown
    }
    return row * this.stride
  }

  /** Every row that was ever counted in; the overflow row only if it was used. */
  *entries(): Generator<{ readonly labels: readonly string[]; readonly offset: number }> {
    for (let row = this.overflows > 0 ? 0 : 1; row < this.labels.length; row++) {
      yield { labels: this.labels[row]!, offset: row * this.stride }
    }
  }

  /** The number at `at` of every row, as a counter's samples. */
  samples(at: number): { readonly labels: readonly string[]; readonly value: number }[] {
    return [...this.entries()].map(({ labels, offset }) => ({ labels, value: this.values[offset + at]! }))
  }

  clear(): void {
    this.values.fill(0)
  }

  exportState(): unknown {
    return [...this.entries()].map(({ labels, offset }) => ({
      labels,
      values: [...this.values.subarray(offset, offset + this.stride)],
    }))
  }

  /** Adds a predecessor's rows; tolerates anything. */
  importState(state: unknown): void {
    if (!Array.isArray(state)) return
    for (const row of state as readonly { labels?: unknown; values?: unknown }[]) {
      if (!isStrings(row?.labels) || row.labels.length !== this.labels[0]!.length || !Array.isArray(row.values))
        continue
      const offset = this.offsetOf(row.labels)
      row.values.slice(0, this.stride).forEach((value: unknown, index) => {
        if (typeof value === 'number' && Number.isFinite(value)) this.values[offset + index]! += value
      })
    }
  }
}

function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}
