/**
 * The time of the data path: monotonic ms, read from the system once per socket event and then only looked at. A figure
 * inside one event never moves.
 */
export class Clock {
  now: number
  private readonly source: () => number

  constructor(source: () => number) {
    this.source = source
    this.now = source()
  }

  refresh(): number {
    return (this.now = this.source())
  }
}
