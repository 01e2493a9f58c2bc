/** A guarded roll-out of a rule, as the store keeps it. */
import type { RuleObject } from '../../agent/control/rules-api/rule-object.ts'

export interface RolloutLimits {
  /** Failures of the share may be this much above the rest, 0..1 of all requests. */
  readonly failures: number
  /** p99 of the share may be this many times that of the rest. */
  readonly latency: number
  /** Requests of the share that a judgement needs. */
  readonly minRequests: number
}

export type RolloutShare = { readonly percent: number } | { readonly labels: Readonly<Record<string, string>> }

export interface Rollout {
  /** The rule in its new version. */
  readonly object: RuleObject
  /** Revision of the version that it replaces; 0 = there is none. */
  readonly base: number
  readonly share: RolloutShare
  /** The hosts of the share, chosen at the start: it touches no others. */
  readonly hosts: readonly string[]
  readonly observeMs: number
  readonly limits: RolloutLimits
  readonly user: string
  readonly from: string
  /** Epoch ms. */
  readonly startedAt: number
  readonly state: 'running' | 'done' | 'reverted'
  /** Why it ended, with the figures; empty while it runs. */
  readonly reason: string
  /** Epoch ms; 0 while it runs. */
  readonly endedAt: number
  /** Epoch ms: a center began to write the rule for all. Absent = none did. */
  readonly takenUpAt?: number
}

export interface KnownRollout extends Rollout {
  readonly key: string
  readonly revision: number
}

const prefix = 'rollouts/'

export function rolloutKey({ kind, metadata: { name, namespace } }: RuleObject): string {
  return `${prefix}${kind}/${namespace}/${name}`
}

/** In its namespace: `virtualservice.orders`. */
export function rolloutName({ object: { kind, metadata } }: Rollout): string {
  return `${kind.toLowerCase()}.${metadata.name}`
}

/** undefined: the key or the value is no roll-out that this version knows. */
export function readRollout(key: string, text: string): Rollout | undefined {
  if (!key.startsWith(prefix)) return undefined
  try {
    const value = JSON.parse(text) as Partial<Rollout> | null
    const isWhole = typeof value?.object?.metadata?.name === 'string' && Array.isArray(value.hosts)
    return isWhole && typeof value.limits?.minRequests === 'number' ? (value as Rollout) : undefined
  } catch {
    return undefined
  }
}
