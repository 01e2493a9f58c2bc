/**
 * Requests as they end, for operators who look at them live. Without a tap one boolean is read per request. A tap keeps
 * up to `maxKept` requests between two questions and counts the rest, so its cost does not grow with the traffic; one
 * that is not asked any more is forgotten.
 */
import type { TapAnswer, TapFilter, TappedRequest } from '../../../contracts/live-view.ts'
import type { ErrorCode } from '../../../contracts/errors.ts'
import type { LoggedRequest } from './logged-request.ts'

export const maxTaps = 4
export const maxKept = 100
const forgottenAfterMs = 5000

/** What can be told of a request before its facts are put together. */
export interface TapHint {
  readonly status: number
  readonly code: ErrorCode | undefined
  readonly flag: string
}

interface Tap {
  readonly filter: TapFilter
  /** From and to, of the status. */
  readonly statuses: readonly [number, number]
  kept: TappedRequest[]
  skipped: number
  askedAt: number
}

export interface TapsDeps {
  /** Monotonic ms. */
  readonly now: () => number
  /** Epoch ms. */
  readonly wallClock: () => number
  readonly tallies: { tapSkips: number }
}

export class Taps {
  isOn = false
  private readonly deps: TapsDeps
  private readonly taps = new Map<string, Tap>()

  constructor(deps: TapsDeps) {
    this.deps = deps
  }

  /** What came since the last question of this tap; the first one begins it. */
  ask(id: string, filter: TapFilter): TapAnswer {
    const now = this.deps.now()
    this.forget(now)
    let tap = this.taps.get(id)
    if (tap === undefined) {
      if (this.taps.size >= maxTaps)
        return { requests: [], skipped: 0, refused: `${maxTaps} taps look at this worker already` }
      tap = { filter, statuses: statusRange(filter.status), kept: [], skipped: 0, askedAt: now }
      this.taps.set(id, tap)
      this.isOn = true
    }
    const { kept, skipped } = tap
    tap.kept = []
    tap.skipped = 0
    tap.askedAt = now
    return { requests: kept, skipped }
  }

  /** To be called now and then: a tap that nobody asks any more costs nothing then, whatever came. */
  look(): void {
    if (this.isOn) this.forget(this.deps.now())
  }

  private forget(now: number): void {
    for (const [id, tap] of this.taps) if (now - tap.askedAt > forgottenAfterMs) this.taps.delete(id)
    this.isOn = this.taps.size > 0
  }

  /** Whether some tap may want it and has room. What cannot be told yet counts as yes. */
  wants(hint: TapHint, service: string | undefined, durationMs: number): boolean {
    let isWanted = false
    for (const tap of this.taps.values()) {
      if (!mayMatch(tap, hint, service, durationMs)) continue
      if (tap.kept.length < maxKept) isWanted = true
      else if (this.deps.now() - tap.askedAt > forgottenAfterMs) {
        this.forget(this.deps.now())
        return this.isOn && this.wants(hint, service, durationMs)
      } else {
        tap.skipped++
        this.deps.tallies.tapSkips++
      }
    }
    return isWanted
  }

  offer(request: LoggedRequest): void {
    for (const tap of this.taps.values()) {
      if (tap.kept.length < maxKept && matches(tap, request)) tap.kept.push(tapped(request, this.deps.wallClock()))
    }
  }
}

function mayMatch({ filter, statuses }: Tap, hint: TapHint, service: string | undefined, durationMs: number): boolean {
  if (hint.status < statuses[0] || hint.status > statuses[1]) return false
  if (filter.failed === true && !isFailed(hint)) return false
  if (filter.leastMs !== undefined && durationMs < filter.leastMs) return false
  return filter.service === undefined || (service !== undefined && service.endsWith(filter.service))
}

function matches(tap: Tap, r: LoggedRequest): boolean {
  const { method, pathPrefix, service, source } = tap.filter
  return (
    mayMatch(tap, r, r.service, r.durationMs) &&
    (service === undefined || r.service === service) &&
    (method === undefined || r.method === method) &&
    (pathPrefix === undefined || r.path.startsWith(pathPrefix)) &&
    (source === undefined || r.sourceApp === source)
  )
}

function isFailed({ code, flag, status }: TapHint): boolean {
  return status >= 500 || code !== undefined || flag !== '-'
}

/** `404` is one, `5xx` a hundred; everything else all. */
function statusRange(status: string | undefined): readonly [number, number] {
  if (status === undefined) return [0, Infinity]
  const first = Number(status[0])
  return /^[1-5]xx$/.test(status) ? [first * 100, first * 100 + 99] : [Number(status), Number(status)]
}

function tapped(r: LoggedRequest, at: number): TappedRequest {
  const query = r.path.indexOf('?')
  return {
    at,
    reporter: r.reporter,
    method: r.method,
    path: query < 0 ? r.path : r.path.slice(0, query),
    authority: r.authority,
    protocol: r.protocol,
    status: r.status,
    flag: r.flag,
    code: r.code,
    durationMs: Math.round(r.durationMs * 1000) / 1000,
    requestBytes: r.requestBytes,
    replyBytes: r.replyBytes,
    sourceAddress: r.sourceAddress,
    sourceApp: r.sourceApp,
    service: r.service,
    upstream: r.upstreamId,
    route: r.routeName,
    attempts: r.attempts,
    tier: r.tier,
    traceId: r.traceId,
  }
}
