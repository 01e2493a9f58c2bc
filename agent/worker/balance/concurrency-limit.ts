/**
 * Adaptive concurrency: how many requests a destination takes at a time, found out from its latency (the gradient
 * controller of Envoy and of Netflix).
 *
 * Why: a service that gets more than it can do answers all of it late; with a bound at its own speed it answers as much
 * as ever, and the rest is refused at once. How: the latency to the reply head of the requests of one window (its
 * percentile, the median unless told otherwise) against the lowest that a window had, plus a buffer: limit × gradient +
 * √limit, the gradient between 0.5 and 2, the limit between its bounds. When it trips: a request beyond the limit is
 * refused, flag UO. Recovery: within a few windows of an end of the queue. Cold start: `initialLimit`, and no word
 * before a window has `minimumSamples`. The lowest latency is forgotten at each `minRttIntervalMs`: the limit is halved
 * for one window, so that a queue that was always there is not taken for the service itself (Envoy goes down to its
 * minimum for that, and refuses most of what comes meanwhile).
 *
 * Requests that failed tell nothing: a fast error would look like a fast service. Only requests without a reply head
 * count against the limit, for no other tells anything any more. Where these are as many as the limit and none is
 * answered for a while (long polls, uploads), one more is let in, later and later; when it shows that the service is as
 * fast as ever, the limit is set to what was in hand.
 */
import type { ConcurrencySpec } from '../../../contracts/policy-spec.ts'

export const initialLimit = 50
const minimumSamples = 10
/** Of one window; later ones of it are not looked at. */
const maxSamples = 512
/** So long nothing is answered before one more is let in: windows, and times the latency of the last of them. */
const silentWindows = 5
const silentLatencies = 2
/** Longest pause from one that is let in without an answer to the next, ms. */
const longestPauseMs = 5000
const gradients = { least: 0.5, most: 2 } as const

export class ConcurrencyLimit {
  limit: number
  private spec: ConcurrencySpec
  private readonly samples = new Float64Array(maxSamples)
  private count = 0
  /** Most requests at a time in this window. */
  private peak = 0
  private windowEndsAt = -1
  private lowestMs = Infinity
  private lowestEndsAt = -1
  /** To return to behind the window that looks for the lowest latency; 0 = there is none. */
  private limitBefore = 0
  /** Latency of the last window. */
  private usualMs = 0
  /** Requests in hand when nothing was answered any more; 0 = answers come. */
  private stuckAt = 0
  /** When one more is let in; -1 = nobody was refused since the last answer. */
  private nextProbeAt = -1
  private pauseMs = 0

  constructor(spec: ConcurrencySpec) {
    this.spec = spec
    this.limit = clamp(initialLimit, spec.minLimit, spec.maxLimit)
  }

  /** The limit goes on from where it is. */
  renew(spec: ConcurrencySpec): void {
    this.spec = spec
    this.limit = clamp(this.limit, spec.minLimit, spec.maxLimit)
  }

  /** Whether one more may come beside `unanswered` others. `now`: monotonic ms. */
  takes(unanswered: number, now: number): boolean {
    if (unanswered < this.limit) return true
    if (unanswered >= this.spec.maxLimit) return false
    if (unanswered <= this.stuckAt) return true
    if (this.nextProbeAt < 0) {
      this.pauseMs = Math.max(silentWindows * this.spec.updateIntervalMs, silentLatencies * this.usualMs)
      this.nextProbeAt = now + this.pauseMs
    }
    if (now < this.nextProbeAt) return false
    this.stuckAt = unanswered
    this.pauseMs = Math.max(this.pauseMs, Math.min(this.pauseMs * 2, longestPauseMs))
    this.nextProbeAt = now + this.pauseMs
    return true
  }

  /**
   * A request was answered `latencyMs` after it was sent, one of `unanswered` at that moment. `now`: monotonic ms.
   */
  sample(latencyMs: number, unanswered: number, now: number): void {
    this.nextProbeAt = -1
    if (unanswered > this.peak) this.peak = unanswered
    if (this.count < maxSamples) this.samples[this.count++] = latencyMs
    if (this.windowEndsAt < 0) this.windowEndsAt = now + this.spec.updateIntervalMs
    if (now >= this.windowEndsAt && this.count >= minimumSamples) this.endWindow(now)
  }

  private endWindow(now: number): void {
    const window = this.samples.subarray(0, this.count).toSorted()
    const latencyMs = window[Math.min(window.length - 1, Math.floor(this.spec.percentile * window.length))]!
    this.count = 0
    this.windowEndsAt = now + this.spec.updateIntervalMs
    if (this.limitBefore > 0) {
      this.lowestMs = latencyMs
      this.limit = this.limitBefore
      this.limitBefore = 0
    } else {
      this.lowestMs = Math.min(this.lowestMs, latencyMs)
    }
    if (this.lowestEndsAt < 0) this.lowestEndsAt = now + this.spec.minRttIntervalMs
    this.usualMs = latencyMs
    // what is in hand beyond the limit is no burden: the service is as fast as ever
    if (this.stuckAt > this.limit && latencyMs <= this.lowestMs * (1 + this.spec.buffer))
      this.limit = clamp(this.stuckAt, this.spec.minLimit, this.spec.maxLimit)
    this.stuckAt = 0
    this.adjust(latencyMs)
    if (now < this.lowestEndsAt) return
    this.lowestEndsAt = now + this.spec.minRttIntervalMs
    this.limitBefore = this.limit
    this.limit = Math.max(this.spec.minLimit, Math.floor(this.limit / 2))
  }

  private adjust(latencyMs: number): void {
    const { buffer, maxLimit, minLimit } = this.spec
    const gradient = latencyMs <= 0 ? gradients.most : (this.lowestMs * (1 + buffer)) / latencyMs
    const scaled = this.limit * clamp(gradient, gradients.least, gradients.most)
    const wanted = clamp(Math.floor(scaled + Math.sqrt(scaled)), minLimit, maxLimit)
    // half of the way up: what ends now was admitted at the limit before, so a whole step would overshoot
    const next = wanted > this.limit ? Math.ceil((this.limit + wanted) / 2) : wanted
    // a limit that nobody comes near proves nothing: it would have grown to its bound when the load comes
    if (next < this.limit || this.peak * 2 >= this.limit) this.limit = next
    this.peak = 0
  }
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, value))
}
