/**
 * What a cluster knows, as plain data for the next generation: breaker, ejections, checks, latency, warm-up, counters.
 *
 * Times are relative to the moment of the export, since the two processes need not share a clock. The reader trusts
 * nothing: whatever is missing, of the wrong type or out of range is left at its default, and endpoints that it does
 * not know are dropped.
 */
import type { BreakerSpec, OutlierSpec } from '../../../contracts/policy-spec.ts'
import { BreakerState } from './breaker.ts'
import type { Breaker } from './breaker.ts'
import type { LiveEndpoint } from './endpoint-state.ts'

const transferFormat = 1

export interface ClusterTransfer {
  readonly format: typeof transferFormat
  /** Rest of the open time in ms; -1 = closed. Half-open travels as open with nothing left. */
  readonly breakerOpenForMs: number
  /** Only endpoints with something to tell. */
  readonly endpoints: Readonly<Record<string, EndpointTransfer>>
}

interface EndpointTransfer {
  readonly requests: number
  readonly failures: number
  readonly meanLatencyMs: number
  readonly peakLatencyMs: number
  readonly peakAgeMs: number
  readonly warmForMs: number
  readonly ejectedForMs: number
  readonly ejectionStreak: number
  readonly ejectionReason: string
  readonly consecutive5xx: number
  readonly consecutiveGateway: number
  readonly consecutiveLocal: number
  readonly checkStreak: number
  readonly hasFailedCheck: boolean
}

export function exportCluster(states: readonly LiveEndpoint[], breaker: Breaker | null, now: number): ClusterTransfer {
  const endpoints: Record<string, EndpointTransfer> = {}
  for (const state of states) {
    if (state.requests === 0 && state.checkStreak === 0 && !state.isEjected && now >= state.warmUntil) continue
    endpoints[state.id] = {
      requests: state.requests,
      failures: state.failures,
      meanLatencyMs: state.meanLatencyMs,
      peakLatencyMs: state.peakLatencyMs,
      peakAgeMs: Math.max(0, now - state.peakAt),
      warmForMs: Math.max(0, state.warmUntil - now),
      ejectedForMs: state.isEjected ? Math.max(0, state.ejectedUntil - now) : -1,
      ejectionStreak: state.ejectionStreak,
      ejectionReason: state.isEjected ? state.ejectionReason : '',
      consecutive5xx: state.consecutive5xx,
      consecutiveGateway: state.consecutiveGateway,
      consecutiveLocal: state.consecutiveLocal,
      checkStreak: state.checkStreak,
      hasFailedCheck: state.hasFailedCheck,
    }
  }
  const isClosed = breaker === null || breaker.state === BreakerState.closed
  return {
    format: transferFormat,
    breakerOpenForMs: isClosed ? -1 : Math.max(0, breaker.openUntil - now),
    endpoints,
  }
}

export function importBreaker(data: unknown, breaker: Breaker, spec: BreakerSpec, now: number): void {
  const openForMs = numberOf(fieldsOf(data), 'breakerOpenForMs', -1, spec.openMs, -1)
  if (openForMs >= 0) breaker.restore(now, openForMs)
}

/** `outlier` and `warmupMs` are today's policy: what it does not ask for is not taken over. */
export function importEndpoints(
  data: unknown,
  byId: ReadonlyMap<string, LiveEndpoint>,
  outlier: OutlierSpec | undefined,
  hasChecks: boolean,
  warmupMs: number,
  now: number,
): void {
  const whole = fieldsOf(data)
  if (whole['format'] !== transferFormat) return
  for (const [id, value] of Object.entries(fieldsOf(whole['endpoints']))) {
    const state = byId.get(id)
    if (state !== undefined) importEndpoint(fieldsOf(value), state, outlier, hasChecks, warmupMs, now)
  }
}

/** Above any real count; keeps hostile data from overflowing sums. */
const largestCount = 1e12
const longestMs = 86_400_000

function importEndpoint(
  data: Fields,
  state: LiveEndpoint,
  outlier: OutlierSpec | undefined,
  hasChecks: boolean,
  warmupMs: number,
  now: number,
): void {
  state.requests += countOf(data, 'requests')
  state.failures += countOf(data, 'failures')
  state.meanLatencyMs = numberOf(data, 'meanLatencyMs', 0, longestMs, state.meanLatencyMs)
  state.peakLatencyMs = numberOf(data, 'peakLatencyMs', 0, longestMs, state.peakLatencyMs)
  state.peakAt = now - numberOf(data, 'peakAgeMs', 0, longestMs, 0)
  state.warmUntil = now + numberOf(data, 'warmForMs', 0, warmupMs, 0)
  if (hasChecks) {
    state.checkStreak = Math.trunc(numberOf(data, 'checkStreak', -1e6, 1e6, 0))
    state.hasFailedCheck = data['hasFailedCheck'] === true && state.checkStreak !== 0
  }
  if (outlier === undefined) return
  state.consecutive5xx = countOf(data, 'consecutive5xx')
  state.consecutiveGateway = countOf(data, 'consecutiveGateway')
  state.consecutiveLocal = countOf(data, 'consecutiveLocal')
  state.ejectionStreak = countOf(data, 'ejectionStreak')
  const longest = Math.max(outlier.baseEjectionMs, outlier.maxEjectionMs)
  const ejectedForMs = numberOf(data, 'ejectedForMs', -1, longest, -1)
  if (ejectedForMs <= 0) return
  const reason = data['ejectionReason']
  state.isEjected = true
  state.ejectedUntil = now + ejectedForMs
  state.ejectionReason = typeof reason === 'string' ? reason.slice(0, 100) : 'before the restart'
}

type Fields = Readonly<Record<string, unknown>>

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {}
}

function countOf(data: Fields, name: string): number {
  return Math.floor(numberOf(data, name, 0, largestCount, 0))
}

/** The number in the field, cut to the range; `missing` when there is none. */
function numberOf(data: Fields, name: string, least: number, most: number, missing: number): number {
  const value = data[name]
  if (typeof value !== 'number' || !Number.isFinite(value)) return missing
  return Math.min(most, Math.max(least, value))
}
