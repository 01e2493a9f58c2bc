import { maxIdleFrames } from './limits.ts'

/** Heartbeats and other frames that ask for nothing, within a second. */
export class FrameRate {
  private since = 0
  private count = 0

  isTooFast(now: number): boolean {
    if (now - this.since >= 1000) {
      this.since = now
      this.count = 0
    }
    return ++this.count > maxIdleFrames
  }
}
