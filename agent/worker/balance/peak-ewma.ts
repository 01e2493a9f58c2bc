/**
 * Peak EWMA: of two endpoints drawn by weight, the one with the lower expected wait: latency times requests in flight.
 *
 * Why: endpoints of different speed, or far away, get what they can answer in time. The average jumps up at once with a
 * slow answer and comes down slowly (the "peak"), so trouble is left quickly and trusted again carefully. Idea:
 * Finagle's load metric of the same name. When it turns away: a slower or failing endpoint loses each comparison
 * against a faster one. A failed attempt counts as a slow answer, so an endpoint that fails fast does not look fast.
 * Cold start: an endpoint without a measurement is tried first, but by one request at a time until it has answered.
 * Recovery: what is known fades with the decay time, so an avoided endpoint looks better and better until it is tried
 * again.
 */
import type { LiveEndpoint } from './endpoint-state.ts'
import type { Picker, PickerSettings } from './picker.ts'
import type { PickContext } from './types.ts'
import { WeightedDraw } from './weighted-draw.ts'

/** What a failed attempt counts as, at least, in ms: the default connect timeout. */
const failureLatencyMs = 1000

/** Wait that is assumed for an endpoint that has requests in flight and no measurement, in ms: above any real one. */
const unknownLatencyMs = 1e6

/** Answers are timed by a coarse clock: 0 ms means "below its tick", never "free". */
const smallestLatencyMs = 0.1

/**
 * After this many decay times without an answer (5 % of the peak are left) what is known counts as unknown: again one
 * request at a time.
 */
const forgottenAfterDecays = 3

export class PeakEwmaPicker implements Picker {
  private readonly draw: WeightedDraw
  private readonly decayMs: number

  constructor(states: readonly LiveEndpoint[], settings: PickerSettings, decayMs: number) {
    this.draw = new WeightedDraw(states, settings)
    this.decayMs = decayMs
  }

  pick(context: PickContext): LiveEndpoint {
    const states = this.draw.states
    const first = this.draw.draw(context)
    const one = states[first]!
    if (states.length === 1) return one
    const two = states[this.draw.drawOther(context, first)]!
    const costOfOne = expectedWait(one, context.now, this.decayMs)
    const costOfTwo = expectedWait(two, context.now, this.decayMs)
    return costOfTwo < costOfOne ? two : one
  }
}

function expectedWait(state: LiveEndpoint, now: number, decayMs: number): number {
  const elapsed = now - state.peakAt
  if (state.peakLatencyMs === 0 || elapsed > forgottenAfterDecays * decayMs) {
    return unknownLatencyMs * state.activeRequests
  }
  const latency = elapsed > 0 ? state.peakLatencyMs * Math.exp(-elapsed / decayMs) : state.peakLatencyMs
  return latency * (state.activeRequests + 1)
}

/** Takes the end of one attempt into the endpoint's average. Latency -1 = there was no answer. */
export function observeLatency(
  state: LiveEndpoint,
  isGood: boolean,
  latencyMs: number,
  now: number,
  decayMs: number,
): void {
  const least = isGood ? smallestLatencyMs : failureLatencyMs
  if (isGood && latencyMs < 0) return
  const latency = latencyMs < least ? least : latencyMs
  const keep = Math.exp(Math.min(0, state.peakAt - now) / decayMs)
  const faded = state.peakLatencyMs * keep
  state.peakLatencyMs = Math.max(latency, faded + latency * (1 - keep))
  state.peakAt = now
}
