/**
 * Shares of one bound by caller: who may hold how many of a destination's requests when they become few.
 *
 * Why: an agent serves all applications of a host, so one of them could hold every place of a service while the others
 * are refused. When it trips: while less than half of the places are taken nobody is counted, for telling callers apart
 * costs a question to the kernel. From there on each caller's new requests are counted. Every other caller that came
 * while it was crowded, in the last minute, has a claim to its part of one half of these places, by weight, and nobody
 * gets what is another's claim: with one other of equal weight a caller gets three quarters of them, alone it gets
 * all. Recovery: at once, as requests end. Cold start: the first request of a caller that nobody knew may still find
 * everything taken; it is known from then on. A caller for which a policy has a limit of its own is counted always.
 *
 * Bound: 256 callers that are remembered. Without limits of a policy, what comes beyond is admitted without a claim of
 * its own. With them each is counted: a caller that holds nothing is forgotten for it, one that an entry names never;
 * where all hold something, those beyond have one limit together, that of all whom no entry names.
 */
import type { CallerLimitSpec } from '../../../contracts/policy-spec.ts'

/** Who asks for a place, and under whose name it was counted. */
export interface ShareHolder {
  readonly callerKey: string
  /** '' = not counted. */
  share: string
}

interface CallerPlaces {
  /** Whose they are. */
  readonly key: string
  held: number
  weight: number
  /** 0 = none of its own. */
  most: number
  /** Monotonic ms. */
  seenAt: number
}

export const maxCallers = 256
/** How long a caller that was seen keeps its claim, ms. */
export const claimMs = 60_000
/** The limit of every caller that none names. */
const everyCaller = '*'

export const ShareVerdict = { granted: 0, overShare: 1, overLimit: 2 } as const
export type ShareVerdict = (typeof ShareVerdict)[keyof typeof ShareVerdict]

export class FairShare {
  private limits: readonly CallerLimitSpec[] = []
  private readonly callers = new Map<string, CallerPlaces>()

  /** What is held stays; the new limits hold from the next request on. */
  renew(limits: readonly CallerLimitSpec[]): void {
    this.limits = limits
    for (const [key, places] of this.callers) Object.assign(places, this.limitOf(key))
  }

  /** One more of `bound` places, of which `taken` are. `now`: monotonic ms. */
  enter(holder: ShareHolder, taken: number, bound: number, now: number): ShareVerdict {
    const hasLimits = this.limits.length > 0
    const isCrowded = taken * 2 >= bound
    if (!isCrowded && !hasLimits) return ShareVerdict.granted
    const places = this.placesOf(holder.callerKey, now)
    if (places === undefined) return ShareVerdict.granted
    if (places.most > 0 && places.held >= places.most) return ShareVerdict.overLimit
    const room = hasLimits ? bound : bound - Math.ceil(bound / 2)
    if (isCrowded && taken + this.claimedByOthers(places, room, now) >= bound) return ShareVerdict.overShare
    places.held++
    holder.share = places.key
    return ShareVerdict.granted
  }

  /** Another process admitted it: it counts where a policy limits callers, and is not refused. */
  readmit(holder: ShareHolder, now: number): void {
    if (this.limits.length === 0) return
    const places = this.placesOf(holder.callerKey, now)
    if (places === undefined) return
    places.held++
    holder.share = places.key
  }

  /** It was refused for want of any place: it is known from now on, and has a claim. */
  note(holder: ShareHolder, now: number): void {
    this.placesOf(holder.callerKey, now)
  }

  /** `share`: of the holder. */
  leave(share: string): void {
    const places = this.callers.get(share)
    if (places !== undefined && places.held > 0) places.held--
  }

  /** Places of each caller that holds some. */
  *held(): Generator<readonly [caller: string, places: number]> {
    for (const [key, { held }] of this.callers) if (held > 0) yield [key, held]
  }

  /** Of `room` places: what others may still come for. */
  private claimedByOthers(asking: CallerPlaces, room: number, now: number): number {
    let weights = 0
    for (const places of this.callers.values()) if (this.hasClaim(places, now)) weights += places.weight
    let claimed = 0
    for (const places of this.callers.values()) {
      if (places === asking || !this.hasClaim(places, now)) continue
      // what it holds of its claim already is taken, not claimed
      claimed += Math.max(0, Math.floor((room * places.weight) / (2 * weights)) - places.held)
    }
    return claimed
  }

  private hasClaim(places: CallerPlaces, now: number): boolean {
    return places.held > 0 || now - places.seenAt < claimMs
  }

  private placesOf(key: string, now: number): CallerPlaces | undefined {
    let places = this.callers.get(key)
    if (places === undefined) {
      if (this.callers.size >= maxCallers) this.forgetOld(now)
      if (this.callers.size >= maxCallers && key !== everyCaller && !this.isNamed(key)) {
        if (this.limits.length === 0) return undefined
        if (!this.forgetIdle()) return this.placesOf(everyCaller, now)
      }
      places = { key, held: 0, seenAt: now, ...this.limitOf(key) }
      this.callers.set(key, places)
    }
    places.seenAt = now
    return places
  }

  private forgetOld(now: number): void {
    for (const [key, places] of this.callers) if (!this.hasClaim(places, now)) this.callers.delete(key)
  }

  /** The caller without a place that was not seen for longest; false = each holds one, or is named. */
  private forgetIdle(): boolean {
    let oldest: string | undefined
    let seenAt = Infinity
    for (const [key, places] of this.callers) {
      if (places.held > 0 || places.seenAt >= seenAt || this.isNamed(key)) continue
      oldest = key
      seenAt = places.seenAt
    }
    return oldest !== undefined && this.callers.delete(oldest)
  }

  private isNamed(key: string): boolean {
    return this.limits.some(({ caller }) => caller === key)
  }

  private limitOf(key: string): Pick<CallerPlaces, 'weight' | 'most'> {
    const own =
      this.limits.find(({ caller }) => caller === key) ?? this.limits.find(({ caller }) => caller === everyCaller)
    return { weight: own?.weight ?? 1, most: own?.maxRequests ?? 0 }
  }
}
