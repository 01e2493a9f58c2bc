/**
 * Rows of numbers in one typed array, one row per combination of labels. The data path holds row numbers, so that
 * counting is an addition; labels are only written when a combination is seen for the first time, and read when
 * somebody asks for the metrics.
 *
 * Bound: `maxRows` rows; further combinations are counted together by their last `kept` labels, in at most
 * `maxKeptRows` rows whose other labels say `other`, and then in the first row, whose labels all do.
 */
const other = 'other'
const maxKeptRows = 64

export class SeriesTable {
  readonly stride: number
  /** Another array after a new row: read it after `offsetOf`, never before. */
  values: Float64Array
  private readonly labels: (readonly string[])[] = []
  private readonly rows = new Map<string, number>()
  private readonly maxRows: number
  private readonly kept: number
  /** Combinations that found no room. */
  overflows = 0
  private isFirstUsed = false

  /** `kept`: of the last labels, as `response_code`: what is too much to be told apart still says what came of it. */
  constructor(stride: number, labelCount: number, { maxRows = 4096, kept = 0 } = {}) {
    this.stride = stride
    this.kept = kept
    this.maxRows = maxRows
    this.values = new Float64Array(stride * 16)
    this.labels.push(Array.from({ length: labelCount }, () => other))
  }

  /** Offset of the first number of the row with these labels. */
  offsetOf(labels: readonly string[]): number {
    const key = labels.join('\n')
    const known = this.rows.get(key)
    if (known !== undefined) return known * this.stride
    if (this.labels.length >= this.maxRows) {
      this.overflows++
      return this.sharedOffsetOf(labels)
    }
    return this.added(key, labels)
  }

  private sharedOffsetOf(labels: readonly string[]): number {
    const from = labels.length - this.kept
    const shared = labels.map((label, at) => (at < from ? other : label))
    const key = shared.join('\n')
    const known = this.rows.get(key)
    if (known !== undefined) return known * this.stride
    if (this.kept > 0 && this.labels.length < this.maxRows + maxKeptRows) return this.added(key, shared)
    this.isFirstUsed = true
    return 0
  }

  private added(key: string, labels: readonly string[]): number {
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
    for (let row = this.isFirstUsed ? 0 : 1; row < this.labels.length; row++) {
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
