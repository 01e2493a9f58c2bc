/**
 * Circuit breaker of a destination: closed, open, half-open with a single trial.
 *
 * Why: when most requests fail anyway, sending more only holds the caller up and keeps the service from getting up
 * again. When it trips: in the last `windowMs` at least `minimumRequests` attempts ended and `failureShare` of them
 * failed (5xx, connect failure or timeout, reset, timeout, broken reply; a caller who went away counts as nothing).
 * Then everything is refused for `openMs`. Recovery: afterwards one request may pass, the trial. It succeeds: closed,
 * with an empty window. It fails: open again for `openMs`. It ends without a verdict (the caller left, no endpoint):
 * the next one is the trial. It hangs for `openMs`: another one may try. Attempts that began before the trial have no
 * say: they tell of the time before. Cold start: closed and empty; below `minimumRequests` it never trips. The state is
 * carried over a hot restart.
 */
import type { BreakerSpec } from '../../../contracts/policy-spec.ts'
import { SlidingWindow } from './sliding-window.ts'
import type { ClusterNumbers, EndpointState } from './types.ts'
import { Outcome } from './types.ts'

export const BreakerState = { closed: 0, halfOpen: 1, open: 2 } as const
export type BreakerState = (typeof BreakerState)[keyof typeof BreakerState]

export class Breaker {
  state: BreakerState = BreakerState.closed
  openUntil = 0
  private readonly numbers: ClusterNumbers
  private spec: BreakerSpec
  /** Failures are marked. */
  private readonly window: SlidingWindow
  private hasTrial = false
  private trialStartedAt = 0
  private trialEndpoint: EndpointState | null = null

  constructor(spec: BreakerSpec, numbers: ClusterNumbers) {
    this.spec = spec
    this.numbers = numbers
    this.window = new SlidingWindow(spec.windowMs)
  }

  renew(spec: BreakerSpec): void {
    this.window.renew(spec.windowMs)
    this.spec = spec
  }

  /** Whether one more request may pass; in half-open the one that may is the trial. */
  admit(now: number): boolean {
    if (this.state === BreakerState.closed) return true
    this.settle(now)
    if (this.state === BreakerState.open) return false
    if (this.hasTrial && now - this.trialStartedAt < this.spec.openMs) return false
    this.hasTrial = true
    this.trialStartedAt = now
    this.trialEndpoint = null
    return true
  }

  settle(now: number): void {
    if (this.state !== BreakerState.open || now < this.openUntil) return
    this.enter(BreakerState.halfOpen)
    this.hasTrial = false
  }

  begin(endpoint: EndpointState): void {
    if (this.hasTrial && this.trialEndpoint === null) this.trialEndpoint = endpoint
  }

  end(endpoint: EndpointState, outcome: Outcome, latencyMs: number, now: number): void {
    if (this.state === BreakerState.open) return
    if (this.state === BreakerState.closed) {
      if (outcome !== Outcome.cancelled) this.record(outcome !== Outcome.ok, now)
      return
    }
    if (!this.hasTrial || endpoint !== this.trialEndpoint) return
    if (latencyMs >= 0 && now - latencyMs < this.trialStartedAt) return
    this.endTrial()
    if (outcome === Outcome.ok) this.close()
    else if (outcome !== Outcome.cancelled) this.open(now)
  }

  /** A request left. If it was the trial and it never reached an endpoint, the next one may try. */
  release(): void {
    if (this.hasTrial && this.trialEndpoint === null) this.hasTrial = false
  }

  /** Takes over an opening from before a hot restart: it is not counted again. */
  restore(now: number, openForMs: number): void {
    this.enter(BreakerState.open)
    this.openUntil = now + openForMs
    this.window.clear()
    this.endTrial()
  }

  private open(now: number): void {
    this.numbers.breakerOpenings++
    this.restore(now, this.spec.openMs)
  }

  private close(): void {
    this.enter(BreakerState.closed)
    this.window.clear()
  }

  private enter(state: BreakerState): void {
    this.state = state
    this.numbers.breakerState = state
  }

  private endTrial(): void {
    this.hasTrial = false
    this.trialEndpoint = null
  }

  private record(isFailure: boolean, now: number): void {
    const { window } = this
    window.record(isFailure, now)
    const isTripped =
      window.ended >= this.spec.minimumRequests && window.marked >= this.spec.failureShare * window.ended
    if (isFailure && isTripped) this.open(now)
  }
}
