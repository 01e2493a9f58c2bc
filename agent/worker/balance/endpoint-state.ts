/**
 * The living state of one endpoint: everything that the policies of this folder remember about it, in one object of one
 * shape.
 */
import type { Endpoint } from '../../../contracts/endpoint.ts'
import { endpointId } from '../../../contracts/endpoint.ts'
import type { EndpointState } from './types.ts'

export class LiveEndpoint implements EndpointState {
  readonly kind = 'endpoint'
  readonly id: string
  readonly address: string
  readonly port: number
  endpoint: Endpoint
  activeRequests = 0
  pool: object | null = null
  serverId = ''
  isGone = false

  /** Nacos's weight, 0..10,000. */
  weight: number
  /** Enabled and with a weight: only such endpoints are ever picked, in panic mode too. */
  isEligible: boolean
  /** Eligible and nobody (registry, active check, outlier detection) speaks against it. */
  isUsable = false
  /** Usable, or its group is in panic mode. */
  isPickable = false
  /** Kept although the registry's newest word lacks it: the last choice. */
  isHeld = false
  /** Held, and it took no connection since: gone. */
  isRefused = false
  /** Number of the update that saw it last. */
  seenInUpdate = 0

  requests = 0
  failures = 0

  // outlier detection
  consecutive5xx = 0
  consecutiveGateway = 0
  consecutiveLocal = 0
  intervalRequests = 0
  intervalSuccesses = 0
  isEjected = false
  ejectedUntil = 0
  ejectionReason = ''
  /** How often it was ejected lately: the ejection time grows with it. */
  ejectionStreak = 0

  // active checks
  hasFailedCheck = false
  checkStreak = 0

  // slow start
  warmUntil = 0

  /** What changes with each request and is no integer: a plain field would box each new value (16 bytes of garbage). */
  private readonly measures = new Float64Array(5)

  constructor(endpoint: Endpoint) {
    this.id = endpointId(endpoint)
    this.address = endpoint.address
    this.port = endpoint.port
    this.endpoint = endpoint
    this.weight = cleanWeight(endpoint.weight)
    this.isEligible = endpoint.enabled && this.weight > 0
  }

  /** Latency for people, ms. */
  get meanLatencyMs(): number {
    return this.measures[0]!
  }

  set meanLatencyMs(value: number) {
    this.measures[0] = value
  }

  /** Latency of peak EWMA, ms: jumps up at once, decays; 0 = never measured. */
  get peakLatencyMs(): number {
    return this.measures[1]!
  }

  set peakLatencyMs(value: number) {
    this.measures[1] = value
  }

  /** When `peakLatencyMs` was right. */
  get peakAt(): number {
    return this.measures[2]!
  }

  set peakAt(value: number) {
    this.measures[2] = value
  }

  /** Weighted round robin: virtual time of the next turn. */
  get turnAt(): number {
    return this.measures[3]!
  }

  set turnAt(value: number) {
    this.measures[3] = value
  }

  /** Monotonic ms until which another endpoint is preferred, because this one took no connection; 0 = never refused. */
  get avoidUntil(): number {
    return this.measures[4]!
  }

  set avoidUntil(value: number) {
    this.measures[4] = value
  }

  /**
   * Takes the registry's newest record. Answers whether weight, eligibility or locality changed, on which groups and
   * hash tables are built.
   */
  renew(endpoint: Endpoint): boolean {
    const before = this.endpoint
    if (before === endpoint) return false
    this.endpoint = endpoint
    const weight = cleanWeight(endpoint.weight)
    const isEligible = endpoint.enabled && weight > 0
    const changed =
      weight !== this.weight ||
      isEligible !== this.isEligible ||
      endpoint.locality.region !== before.locality.region ||
      endpoint.locality.zone !== before.locality.zone
    this.weight = weight
    this.isEligible = isEligible
    return changed
  }
}

/**
 * Registries are not trusted with arithmetic: anything but a positive finite number is no weight, and 10,000 is Nacos's
 * own ceiling.
 */
function cleanWeight(weight: number): number {
  return weight > 0 ? Math.min(weight, 10_000) : 0
}
