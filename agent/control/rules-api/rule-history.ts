/**
 * The versions of a rule: who made each, when and by what, and which one a revert brings back. How far they go back is
 * the store's.
 */
import type { StoreVersion } from '../store/store.ts'
import { ApiError } from './api-error.ts'
import { readDeleted, readKept } from './read-kept.ts'
import { readRevision } from './request-body.ts'
import type { RuleChange, RuleObject } from './rule-object.ts'

export interface RuleVersion {
  readonly revision: number
  /** undefined = written by a version that did not keep it. */
  readonly change: RuleChange | undefined
  /** undefined = it was deleted, or cannot be read. */
  readonly object: RuleObject | undefined
  /** False: a version of ours wrote it that knows more. */
  readonly isReadable: boolean
}

/** What a revert asks for: to take back one change, or to bring back one version. */
export type RevertOrder =
  | { readonly change: number }
  | { readonly to: number; /** It must be the newest one. */ readonly expected: number | undefined }

export interface Revert {
  /** The newest version, which the revert replaces. */
  readonly newest: RuleVersion
  /** undefined = the rule is not there afterwards. */
  readonly object: RuleObject | undefined
}

/** Newest first, as it came from the store. */
export function readVersions(versions: readonly StoreVersion[]): RuleVersion[] {
  return versions.map(({ value, revision }): RuleVersion => {
    const kept = value === undefined ? undefined : readKept(value)
    const deleted = kept === undefined && value !== undefined ? readDeleted(value) : undefined
    const isReadable = value === undefined || kept !== undefined || deleted !== undefined
    return { revision, change: (kept ?? deleted)?.change, object: kept?.object, isReadable }
  })
}

/** Throws ApiError 404 or 409. `versions`: newest first, at least one. Pure. */
export function planRevert(versions: readonly RuleVersion[], order: RevertOrder): Revert {
  const newest = versions[0]!
  if ('to' in order) {
    if (order.expected !== undefined && order.expected !== newest.revision)
      throw new ApiError(409, `changed since: found ${wordsOf(newest)}, the request says ${order.expected}`)
    const version = versions.find(({ revision }) => revision === order.to)
    if (version === undefined) throw new ApiError(404, `no version ${order.to} is kept; found ${listOf(versions)}`)
    return { newest, object: objectOf(version) }
  }
  const change = versions.find(({ revision }) => revision === order.change)
  if (change === undefined) throw new ApiError(404, `no change ${order.change} is kept; found ${listOf(versions)}`)
  if (change !== newest)
    throw new ApiError(
      409,
      `${wordsOf(change)} was followed by ${wordsOf(newest)}; take that back first, or name the version that is to be there`,
    )
  const replaces = change.change?.replaces
  if (replaces === 0) return { newest, object: undefined }
  const before = replaces === undefined ? versions[1] : versions.find(({ revision }) => revision === replaces)
  if (before === undefined) throw new ApiError(404, `what was before ${wordsOf(change)} is not kept any more`)
  return { newest, object: objectOf(before) }
}

/** What cannot be read must not pass for a rule that was not there. */
function objectOf(version: RuleVersion): RuleObject | undefined {
  if (version.isReadable) return version.object
  throw new ApiError(409, `${wordsOf(version)} cannot be read here: a newer version of the center wrote it`)
}

/** For people: `change 12 (patch by alice, 2026-01-01T00:00:00.000Z)`. */
function wordsOf({ revision, change }: RuleVersion): string {
  return change === undefined
    ? `change ${revision}`
    : `change ${revision} (${change.verb} by ${change.user}, ${change.at})`
}

function listOf(versions: readonly RuleVersion[]): string {
  return versions.map(({ revision }) => revision).join(', ')
}

/** Throws ApiError 400. */
export function readRevert(body: Record<string, unknown>): RevertOrder {
  const { change, to, resourceVersion, ...more } = body
  const [unknown] = Object.keys(more)
  if (unknown !== undefined) throw new ApiError(400, `${unknown}: unknown field, allowed change, to, resourceVersion`)
  if ((change === undefined) === (to === undefined))
    throw new ApiError(400, 'allowed either change (the change that is taken back) or to (the version that comes back)')
  const expected = readRevision(resourceVersion)
  if (to !== undefined) return { to: revisionAt('to', to), expected }
  if (expected !== undefined) throw new ApiError(400, 'resourceVersion: only beside to; a change is the newest one')
  return { change: revisionAt('change', change) }
}

function revisionAt(field: string, value: unknown): number {
  if (typeof value === 'number' && Number.isInteger(value) && value > 0) return value
  throw new ApiError(400, `${field}: found ${JSON.stringify(value)?.slice(0, 80)}, allowed a whole number from 1 on`)
}
