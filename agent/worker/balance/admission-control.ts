/**
 * Admission control by success rate (Envoy's filter of that name, after "Handling Overload" of Google's SRE book): the
 * more of what a destination gets fails, the more is refused before it gets there.
 *
 * Why: a service that fails under load is not helped by more of it, and a breaker, which knows only all and nothing,
 * swings. When it trips: in the last `windowMs` at least `minimumRequests` attempts ended and fewer than
 * `successShare` of them succeeded. Then a request is refused with the probability ((n − s / successShare) / (n +
 * 1))^(1 / aggression), at most `maxRejectionShare`, so that enough passes to notice that the service is well again.
 * Recovery: as the failures leave the window. Cold start: an empty window refuses nothing. What was refused here is
 * counted nowhere.
 */
import type { AdmissionControlSpec } from '../../../contracts/policy-spec.ts'
import { SlidingWindow } from './sliding-window.ts'

export class AdmissionControl {
  private spec: AdmissionControlSpec
  /** Successes are marked. */
  private readonly window: SlidingWindow

  constructor(spec: AdmissionControlSpec) {
    this.spec = spec
    this.window = new SlidingWindow(spec.windowMs)
  }

  /** Another window begins empty. */
  renew(spec: AdmissionControlSpec): void {
    this.window.renew(spec.windowMs)
    this.spec = spec
  }

  /** Whether one more request may pass. `draw`: 0..1; `now`: monotonic ms. */
  admits(draw: number, now: number): boolean {
    if (this.window.ended === 0) return true
    this.window.slide(now)
    return draw >= this.rejectionShare
  }

  record(isSuccess: boolean, now: number): void {
    this.window.record(isSuccess, now)
  }

  /** 0..1, as of the last `admits` or `record`. */
  get rejectionShare(): number {
    const { aggression, maxRejectionShare, minimumRequests, successShare } = this.spec
    const { ended, marked } = this.window
    if (ended < minimumRequests) return 0
    const excess = (ended - marked / successShare) / (ended + 1)
    return excess <= 0 ? 0 : Math.min(maxRejectionShare, excess ** (1 / aggression))
  }
}
