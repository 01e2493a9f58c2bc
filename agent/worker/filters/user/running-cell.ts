/** Between two beats of the loop. */
export const beatMs = 500

/**
 * Which filter of a user runs at this moment, in memory that a watching thread reads, and whether the loop turns. Two
 * stores per call: whoever holds the worker up cannot be asked, but is known.
 */
export class RunningCell {
  /** [number of the filter or 0, calls so far, beats of the loop]. */
  readonly memory: SharedArrayBuffer = new SharedArrayBuffer(12)
  private readonly cells = new Int32Array(this.memory)

  enter(filter: number): void {
    const { cells } = this
    cells[1]!++
    cells[0] = filter
  }

  /** The loop is alive. */
  beat(): void {
    this.cells[2]!++
  }

  leave(): void {
    this.cells[0] = 0
  }
}
