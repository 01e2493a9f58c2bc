/**
 * Whether a destination takes one more request: the fixed limit, the adaptive one, the success rate, the breaker, and
 * what other callers have a claim to, asked in this order. Each is off unless a policy asks for it, but for the fixed
 * limit and the fair shares.
 */
import type { TrafficPolicySpec } from '../../../contracts/policy-spec.ts'
import { AdmissionControl } from './admission-control.ts'
import { Breaker } from './breaker.ts'
import { ConcurrencyLimit } from './concurrency-limit.ts'
import { FairShare, ShareVerdict } from './fair-share.ts'
import type { ShareHolder } from './fair-share.ts'
import type { ClusterRefusals } from './refusals.ts'
import { Outcome } from './types.ts'
import type { ClusterNumbers, EndpointState, Random, Refusal } from './types.ts'

export class Gate {
  breaker: Breaker | null = null
  readonly shares = new FairShare()
  private readonly numbers: ClusterNumbers
  private readonly refusals: ClusterRefusals
  private readonly random: Random
  private policy: TrafficPolicySpec
  private concurrency: ConcurrencyLimit | null = null
  private control: AdmissionControl | null = null

  constructor(policy: TrafficPolicySpec, numbers: ClusterNumbers, refusals: ClusterRefusals, random: Random) {
    this.policy = policy
    this.numbers = numbers
    this.refusals = refusals
    this.random = random
    this.renew(policy)
  }

  renew(policy: TrafficPolicySpec): void {
    const { admissionControl, breaker, callers, concurrency } = policy
    this.policy = policy
    if (breaker === undefined) this.breaker = null
    else if (this.breaker === null) this.breaker = new Breaker(breaker, this.numbers)
    else this.breaker.renew(breaker)
    this.numbers.breakerState = this.breaker?.state ?? 0
    if (concurrency === undefined) this.concurrency = null
    else if (this.concurrency === null) this.concurrency = new ConcurrencyLimit(concurrency)
    else this.concurrency.renew(concurrency)
    this.numbers.concurrencyLimit = this.concurrency?.limit ?? 0
    if (admissionControl === undefined) this.control = null
    else if (this.control === null) this.control = new AdmissionControl(admissionControl)
    else this.control.renew(admissionControl)
    this.shares.renew(callers ?? [])
  }

  /** null = admitted, counted among the active requests, and as `holder.share` in the shares. */
  admit(now: number, holder: ShareHolder | undefined): Refusal | null {
    const refusal = this.let(now, holder, this.concurrency)
    if (refusal === null) this.numbers.unansweredRequests++
    return refusal
  }

  /** The same without the adaptive limit. */
  admitConnection(now: number, holder: ShareHolder): Refusal | null {
    return this.let(now, holder, null)
  }

  private let(now: number, holder: ShareHolder | undefined, concurrency: ConcurrencyLimit | null): Refusal | null {
    const { breaker, control, numbers, refusals } = this
    let taken = numbers.activeRequests
    let bound = this.policy.pool.maxRequests
    if (taken >= bound) {
      numbers.requestOverflows++
      // known from now on, it has a claim to what comes free
      if (holder !== undefined) this.shares.note(holder, now)
      return refusals.tooManyRequests
    }
    if (concurrency !== null) {
      const { unansweredRequests } = numbers
      if (!concurrency.takes(unansweredRequests, now)) {
        numbers.concurrencyRefusals++
        if (holder !== undefined) this.shares.note(holder, now)
        return refusals.tooManyAtOnce
      }
      const room = concurrency.limit - unansweredRequests
      // none = it is let in beyond the limit
      if (room > 0 && room < bound - taken) {
        bound = concurrency.limit
        taken = unansweredRequests
      }
    }
    if (control !== null && !control.admits(this.random(), now)) {
      numbers.admissionRefusals++
      return refusals.tooManyFailures
    }
    if (breaker !== null && !breaker.admit(now)) {
      numbers.breakerRefusals++
      return refusals.breakerOpen
    }
    if (holder !== undefined) {
      const verdict = this.shares.enter(holder, taken, bound, now)
      if (verdict !== ShareVerdict.granted) {
        numbers.callerOverflows++
        if (breaker !== null) breaker.release()
        return verdict === ShareVerdict.overShare ? refusals.overShare : refusals.overLimit
      }
    }
    numbers.activeRequests++
    return null
  }

  /** Past all bounds. */
  readmit(now: number, holder: ShareHolder, isAnswered: boolean): void {
    this.numbers.activeRequests++
    if (!isAnswered) this.numbers.unansweredRequests++
    this.shares.readmit(holder, now)
  }

  answered(): void {
    this.numbers.unansweredRequests--
  }

  release(share = '', isAnswered = false): void {
    this.numbers.activeRequests--
    if (!isAnswered) this.answered()
    if (share !== '') this.shares.leave(share)
    if (this.breaker !== null) this.breaker.release()
  }

  begin(state: EndpointState): void {
    if (this.breaker !== null) this.breaker.begin(state)
  }

  /** `status`: 0 = none, the end of no request. */
  end(state: EndpointState, outcome: Outcome, status: number, latencyMs: number, now: number): void {
    const { breaker, concurrency, control, numbers } = this
    if (breaker !== null) breaker.end(state, outcome, latencyMs, now)
    if (outcome === Outcome.cancelled) return
    if (control !== null) control.record(outcome === Outcome.ok, now)
    if (concurrency !== null && outcome === Outcome.ok && status > 0 && latencyMs >= 0) {
      concurrency.sample(latencyMs, numbers.unansweredRequests, now)
      numbers.concurrencyLimit = concurrency.limit
    }
  }

  settle(now: number): void {
    if (this.breaker !== null) this.breaker.settle(now)
  }
}
