/**
 * When a process that died is started again. The first restart is almost at once, because most deaths are single ones;
 * each further death within the window doubles the pause up to the longest, so that a process that cannot live costs
 * little; more than `maxDeaths` in the window is a crash loop, and the caller decides what to do about it. A process
 * that lives through a whole window starts from the beginning.
 */
import type { RestartOptions } from '../options.ts'

export interface RestartAdvice {
  readonly pauseMs: number
  readonly isCrashLoop: boolean
}

export class Backoff {
  private readonly options: RestartOptions
  private deaths: number[] = []

  constructor(options: RestartOptions) {
    this.options = options
  }

  /** Counts a death at `now` (monotonic ms). A hang took long to notice, so it weighs more than a crash. */
  died(now: number, weight: 1 | 3 = 1): RestartAdvice {
    this.deaths = this.deaths.filter((at) => now - at < this.options.windowMs)
    for (let count = 0; count < weight; count++) this.deaths.push(now)
    const pauseMs = Math.min(this.options.lastPauseMs, this.options.firstPauseMs * 2 ** (this.deaths.length - 1))
    const isCrashLoop = this.deaths.length > this.options.maxDeaths
    return { pauseMs: isCrashLoop ? this.options.lastPauseMs : pauseMs, isCrashLoop }
  }
}
