import { monitorEventLoopDelay } from 'node:perf_hooks'

/** How late the event loop serves timers, in ms. Sampled every 20 ms natively; costs nothing in JavaScript. */
export class LoopLag {
  private readonly histogram = monitorEventLoopDelay({ resolution: 100 })

  start(): void {
    this.histogram.enable()
  }

  /** Highest since the last call; 0 when nothing was sampled. */
  takeMaxMs(): number {
    const max = this.histogram.max / 1e6
    this.histogram.reset()
    return Number.isFinite(max) ? max : 0
  }

  stop(): void {
    this.histogram.disable()
  }
}
