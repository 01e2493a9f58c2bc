/**
 * What a host can go back to after a take-over: by itself while the new generation is on probation, later when an
 * operator asks for a rollback. The same release again leads back to where it led before.
 */
import type { Release } from '../../contracts/handoff.ts'
import { isSameRelease } from '../options.ts'

export interface Probation {
  /** Number of the generation that is taken back when it misbehaves. */
  readonly generation: number
  /** What is started instead of it. */
  readonly release: Release
  /** Monotonic ms since boot: a next watchdog reads the same clock. */
  readonly until: number
}

export interface WayBack {
  /** What ran before the present release, for a rollback. */
  previousRelease: Release | undefined
  probation: Probation | undefined
}

export interface TakeOver {
  readonly generation: { readonly number: number; readonly release: Release }
  /** What served before it; undefined when nothing did. */
  readonly from: { readonly release: Release } | undefined
  /** `from` has misbehaved: nothing leads back to it. */
  readonly isTakenBack: boolean
  /** Monotonic ms since boot. */
  readonly now: number
  readonly probationMs: number
}

export function keepWayBack(back: WayBack, { generation, from, isTakenBack, now, probationMs }: TakeOver): void {
  const earlier = openProbation(back, now, probationMs)?.release
  const isOther = from !== undefined && !isSameRelease(from.release, generation.release)
  if (isOther) back.previousRelease = isTakenBack ? undefined : from.release
  // where nothing served the release before may have been started by itself
  else if (isSameRelease(back.previousRelease, generation.release)) back.previousRelease = undefined
  const release = isOther ? back.previousRelease : (earlier ?? from?.release)
  back.probation = release && { generation: generation.number, release, until: now + probationMs }
}

/** The probation that is not over. One that would last longer than any was written down before the host was booted. */
export function openProbation({ probation }: WayBack, now: number, probationMs: number): Probation | undefined {
  if (probation === undefined) return undefined
  const leftMs = probation.until - now
  return leftMs >= 0 && leftMs <= probationMs ? probation : undefined
}
