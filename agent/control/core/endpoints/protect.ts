/**
 * Shrink protection: a registry that suddenly forgets most of a service is more often wrong than right (a restarted
 * server, a half-synced cluster, an expired namespace).
 *
 * When it trips: an answer would leave fewer than max(1, share x present) endpoints. How it acts: the present endpoints
 * stay, as the last choice of the workers; new and changed ones of the answer are taken in.
 * How it ends: at once, when the adapter has asked again and says so; or by the same word again from the registry at
 * least `confirmGapMs` later, or `confirmAfterMs` without another word, or an answer that is large enough.
 * A removal that is held back costs nothing while one of the others works; a removal that is wrongly believed costs the
 * service. 0.3 by default: who takes out more than two thirds of a service in one step is asked to wait a moment.
 */
import { endpointId, type Endpoint } from '../../../../contracts/endpoint.ts'

export interface ProtectOptions {
  /** 0..1; 0 switches it off. */
  readonly share: number
  readonly confirmAfterMs: number
}

/** The same answer sooner than this is an echo of the first, not a confirmation. */
const confirmGapMs = 5000

export interface HeldBack {
  /** What the registry said last. */
  readonly endpoints: readonly Endpoint[]
  /** Ids of what is served although the registry's last word lacks it, sorted. */
  readonly ids: readonly string[]
  /** When the shrinking answer first came, in the clock of `now`. */
  readonly since: number
}

export interface ProtectResult {
  readonly endpoints: readonly Endpoint[]
  readonly held: HeldBack | undefined
}

/**
 * What to serve after an answer. Pure.
 * `present` is what is served now (undefined = nothing yet: any first answer is taken), `held` what an earlier call
 * held back, `isSecondWord` whether the adapter asked again to be sure.
 */
export function protect(
  present: readonly Endpoint[] | undefined,
  answer: readonly Endpoint[],
  held: HeldBack | undefined,
  options: ProtectOptions,
  now: number,
  isSecondWord: boolean,
): ProtectResult {
  if (present === undefined || options.share === 0 || isSecondWord) return { endpoints: answer, held: undefined }
  // while an answer is held back, what it left out is still served: the bound is measured against that whole
  const least = Math.max(1, Math.ceil(present.length * options.share))
  if (present.length === 0 || answer.length >= least) return { endpoints: answer, held: undefined }
  const since = held?.since ?? now
  const waited = now - since
  const isConfirmed = held !== undefined && waited >= confirmGapMs && isSubset(answer, held.endpoints)
  if (isConfirmed || waited >= options.confirmAfterMs) return { endpoints: answer, held: undefined }
  const named = new Set(answer.map(endpointId))
  const ids = present.map(endpointId).filter((id) => !named.has(id))
  return { endpoints: union(present, answer), held: { endpoints: answer, ids, since } }
}

/** What to serve when the time for a confirmation is over. */
export function expire(held: HeldBack, options: ProtectOptions, now: number): readonly Endpoint[] | undefined {
  return now - held.since >= options.confirmAfterMs ? held.endpoints : undefined
}

function isSubset(answer: readonly Endpoint[], earlier: readonly Endpoint[]): boolean {
  const ids = new Set(earlier.map(endpointId))
  return answer.every((endpoint) => ids.has(endpointId(endpoint)))
}

function union(present: readonly Endpoint[], answer: readonly Endpoint[]): readonly Endpoint[] {
  const byId = new Map(present.map((endpoint) => [endpointId(endpoint), endpoint]))
  for (const endpoint of answer) byId.set(endpointId(endpoint), endpoint)
  return [...byId.keys()].sort().map((id) => byId.get(id)!)
}
