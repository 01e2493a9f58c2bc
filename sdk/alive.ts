/** Timers and questions of the SDK let a process end; what somebody waits for does not. */
export class Alive {
  private waiting = 0
  private timer: NodeJS.Timeout | undefined

  /** Somebody waits. Each is followed by one `end`. */
  begin(): void {
    if (this.waiting++ === 0) this.timer = setInterval(() => undefined, 2 ** 30)
  }

  end(): void {
    if (--this.waiting === 0) clearInterval(this.timer)
  }
}
