import { monitorEventLoopDelay } from 'node:perf_hooks'

const halfMs = 30_000

/**
 * How late the event loop serves timers, in ms. Sampled every 100 ms natively; costs nothing in JavaScript. Two windows
 * of 30 s each: whoever reads takes nothing from others.
 */
export class LoopLag {
  private readonly histogram: Pick<ReturnType<typeof monitorEventLoopDelay>, 'max' | 'reset' | 'enable' | 'disable'>
  private timer: NodeJS.Timeout | undefined
  /** Of the window before. */
  private beforeMs = 0

  constructor(histogram: LoopLag['histogram'] = monitorEventLoopDelay({ resolution: 100 })) {
    this.histogram = histogram
  }

  start(): void {
    this.histogram.enable()
    this.timer ??= setInterval(() => this.turn(), halfMs).unref()
  }

  /** Another window begins; the one before the last is forgotten. Every 30 s by itself. */
  turn(): void {
    this.beforeMs = this.nowMs
    this.histogram.reset()
  }

  private get nowMs(): number {
    const max = this.histogram.max / 1e6
    return Number.isFinite(max) ? max : 0
  }

  /** Highest of both windows; 0 when nothing was sampled. */
  get maxMs(): number {
    return Math.max(this.beforeMs, this.nowMs)
  }

  stop(): void {
    this.histogram.disable()
    clearInterval(this.timer)
    this.timer = undefined
  }
}
