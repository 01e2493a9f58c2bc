/**
 * Which filter of a user runs at this moment, in memory that a watching thread reads. Two stores per call: whoever
 * holds the worker up cannot be asked, but is known.
 */
export class RunningCell {
  /** [number of the filter or 0, calls so far]. */
  readonly memory: SharedArrayBuffer = new SharedArrayBuffer(8)
  private readonly cells = new Int32Array(this.memory)

  enter(filter: number): void {
    const { cells } = this
    cells[1]!++
    cells[0] = filter
  }

  leave(): void {
    this.cells[0] = 0
  }
}
