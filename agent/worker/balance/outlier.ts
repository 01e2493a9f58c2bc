/**
 * Outlier detection: takes an endpoint that fails more than it should out of the rotation for a while.
 *
 * Why: the registry and the active checks ask whether an endpoint lives; only real requests tell whether it works.
 * When it trips: a number of 5xx in a row, of gateway errors (502, 503, 504) in a row, of failures before any answer in
 * a row; or, once per interval, a success rate below mean - factor x standard deviation of the endpoints with enough
 * requests. Without `splitLocalErrors` a failure before any answer (no connection, reset, timeout) counts as a gateway
 * error; with it, only for its own detector. A broken reply is the endpoint's doing: always a gateway error. Bounds:
 * never more than `maxEjectionShare` of the endpoints, but one of at least two may always go; nobody while fewer than
 * `minHealthShare` are usable, and then those that are out come back in too (Istio: minHealthPercent). Cold start:
 * counters at zero; the success rate needs `minimumHosts` with `requestVolume` requests each. Recovery: after
 * `baseEjectionMs` times the number of ejections lately, at most `maxEjectionMs`; each interval without trouble takes
 * one off that number. Source of the model: Envoy, outlier detection.
 */
import type { OutlierSpec } from '../../../contracts/policy-spec.ts'
import type { LiveEndpoint } from './endpoint-state.ts'
import { Outcome } from './types.ts'

export class OutlierDetector {
  /** Endpoints that are out now. */
  ejected = 0
  /** Ejections since the start. */
  ejections = 0
  /** True while too few endpoints are usable: nobody is ejected, and ejections do not count. Set by the cluster. */
  isStandingAside = false
  nextIntervalAt: number
  private spec: OutlierSpec
  private members: readonly LiveEndpoint[] = []

  constructor(spec: OutlierSpec, now: number) {
    this.spec = spec
    this.nextIntervalAt = now + spec.intervalMs
  }

  renew(spec: OutlierSpec, now: number): void {
    if (spec.intervalMs !== this.spec.intervalMs) this.nextIntervalAt = now + spec.intervalMs
    this.spec = spec
  }

  get minHealthShare(): number {
    return this.spec.minHealthShare
  }

  /** The endpoints that the shares are taken of: all that may ever be picked. */
  watch(members: readonly LiveEndpoint[]): void {
    this.members = members
    this.ejected = 0
    for (const member of members) if (member.isEjected) this.ejected++
  }

  /** Takes one ended attempt in. Answers true when it ejected the endpoint. */
  record(state: LiveEndpoint, outcome: Outcome, status: number, now: number): boolean {
    if (outcome === Outcome.cancelled || state.isEjected || state.isGone) return false
    state.intervalRequests++
    if (outcome === Outcome.ok) {
      state.intervalSuccesses++
      state.consecutive5xx = 0
      state.consecutiveGateway = 0
      state.consecutiveLocal = 0
      return false
    }
    const isLocal = outcome !== Outcome.serverError && outcome !== Outcome.protocol
    if (isLocal) state.consecutiveLocal++
    else state.consecutiveLocal = 0
    if (!isLocal || !this.spec.splitLocalErrors) {
      state.consecutive5xx++
      if (outcome !== Outcome.serverError || (status >= 502 && status <= 504)) state.consecutiveGateway++
      else state.consecutiveGateway = 0
    }
    const reason = this.trippedBy(state)
    return reason !== '' && this.eject(state, reason, now)
  }

  /**
   * Ends ejections whose time is over and, once per interval, compares success rates. Answers whether anything changed;
   * `onBack` gets each one that returns.
   */
  sweep(now: number, onBack: (state: LiveEndpoint) => void): boolean {
    let changed = false
    if (this.ejected > 0) {
      for (const member of this.members) {
        if (!member.isEjected || now < member.ejectedUntil) continue
        this.takeBack(member)
        onBack(member)
        changed = true
      }
    }
    if (now < this.nextIntervalAt) return changed
    this.nextIntervalAt = now + this.spec.intervalMs
    if (this.compareSuccessRates(now)) changed = true
    for (const member of this.members) {
      if (!member.isEjected && member.ejectionStreak > 0) member.ejectionStreak--
      member.intervalRequests = 0
      member.intervalSuccesses = 0
    }
    return changed
  }

  /** Monotonic ms of the next due work. */
  nextDueAt(): number {
    let due = this.nextIntervalAt
    if (this.ejected === 0) return due
    for (const member of this.members) if (member.isEjected && member.ejectedUntil < due) due = member.ejectedUntil
    return due
  }

  takeBack(state: LiveEndpoint): void {
    if (!state.isEjected) return
    state.isEjected = false
    state.consecutive5xx = 0
    state.consecutiveGateway = 0
    state.consecutiveLocal = 0
    this.ejected--
  }

  private trippedBy(state: LiveEndpoint): string {
    const { consecutive5xx, consecutiveGatewayErrors, consecutiveLocalFailures, splitLocalErrors } = this.spec
    if (consecutiveGatewayErrors > 0 && state.consecutiveGateway >= consecutiveGatewayErrors) {
      return 'gateway errors in a row'
    }
    if (consecutive5xx > 0 && state.consecutive5xx >= consecutive5xx) return '5xx in a row'
    if (splitLocalErrors && consecutiveLocalFailures > 0 && state.consecutiveLocal >= consecutiveLocalFailures) {
      return 'failures to get an answer in a row'
    }
    return ''
  }

  private eject(state: LiveEndpoint, reason: string, now: number): boolean {
    if (this.isStandingAside || !this.mayEjectOneMore()) return false
    state.ejectionStreak++
    const longest = Math.max(this.spec.baseEjectionMs, this.spec.maxEjectionMs)
    state.isEjected = true
    state.ejectedUntil = now + Math.min(this.spec.baseEjectionMs * state.ejectionStreak, longest)
    state.ejectionReason = reason
    this.ejected++
    this.ejections++
    return true
  }

  private mayEjectOneMore(): boolean {
    const share = this.spec.maxEjectionShare
    if (share <= 0 || this.members.length < 2) return false
    return this.ejected + 1 <= Math.max(1, Math.floor(share * this.members.length))
  }

  private compareSuccessRates(now: number): boolean {
    const spec = this.spec.successRate
    if (spec === undefined) return false
    const judged = this.members.filter((member) => !member.isEjected && member.intervalRequests >= spec.requestVolume)
    if (judged.length === 0 || judged.length < spec.minimumHosts) return false
    let sum = 0
    for (const member of judged) sum += rateOf(member)
    const mean = sum / judged.length
    let squares = 0
    for (const member of judged) squares += (rateOf(member) - mean) ** 2
    const bound = mean - spec.stdevFactor * Math.sqrt(squares / judged.length)
    let changed = false
    for (const member of judged) {
      if (rateOf(member) < bound && this.eject(member, 'success rate far below the others', now)) changed = true
    }
    return changed
  }
}

function rateOf(state: LiveEndpoint): number {
  return state.intervalRequests === 0 ? 1 : state.intervalSuccesses / state.intervalRequests
}
