/** What a request for a roll-out says, and the hosts that it means. */
import * as z from 'zod'
import { parseDuration } from '../../agent/control/config/scalars.ts'
import { ApiError } from '../../agent/control/rules-api/api-error.ts'
import type { KnownHost } from '../hosts/host-table.ts'
import type { RolloutLimits, RolloutShare } from './rollout.ts'
import { createHash } from 'node:crypto'

export interface RolloutOrder {
  /** As written; checked as any rule. */
  readonly rule: Record<string, unknown>
  readonly share: RolloutShare
  readonly observeMs: number
  readonly limits: RolloutLimits
}

const duration = z
  .string()
  .transform((text) => parseDuration(text) ?? Number.NaN)
  .refine((ms) => ms >= 5000 && ms <= 24 * 3_600_000, 'allowed a duration from 5s to 24h')

export const labels = z
  .record(z.string().min(1).max(253), z.string().max(500))
  .refine((given) => Object.keys(given).length > 0, 'allowed at least one label')

const shape = z.strictObject({
  apiVersion: z.literal('hostmesh.io/v1').optional(),
  kind: z.literal('Rollout').optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
  spec: z.strictObject({
    rule: z.record(z.string(), z.unknown()),
    hosts: z.union(
      [z.strictObject({ percent: z.number().gt(0).lt(100) }), z.strictObject({ labels })],
      'allowed percent (above 0, below 100) or labels',
    ),
    observe: duration.prefault('2m'),
    limits: z
      .strictObject({
        failures: z.number().min(0).max(1).default(0.02),
        latency: z.number().min(1).max(1000).default(3),
        minRequests: z.number().int().min(1).max(1_000_000).default(100),
      })
      .prefault({}),
  }),
})

/** Throws ApiError 422. */
export function readRolloutOrder(body: Record<string, unknown>): RolloutOrder {
  const result = shape.safeParse(body)
  if (!result.success) {
    const causes = result.error.issues.slice(0, 10).map(({ path, message }) => ({ field: path.join('.'), message }))
    const words = causes.map(({ field, message }) => `${field}: ${message}`).join('; ')
    throw new ApiError(422, `the roll-out: ${words}`, { causes })
  }
  const { rule, hosts, observe, limits } = result.data.spec
  return { rule, share: hosts, observeMs: observe, limits }
}

/** Hosts that one roll-out may touch; a share of more belongs into every host. */
const maxHosts = 2000

/**
 * Of hosts that can take a roll-out: those with the labels, or so many per cent, the same at each center for one
 * `seed`. `held`: for people, who holds others; empty = nobody.
 *
 * Throws ApiError 422 where the share would be nobody, or everybody. Pure.
 */
export function chooseHosts(able: readonly KnownHost[], share: RolloutShare, seed: string, held: string): string[] {
  const chosen = (
    'labels' in share
      ? able.filter(({ report }) =>
          Object.entries(share.labels).every(([name, value]) => report.labels[name] === value),
        )
      : ranked(able, seed).slice(0, Math.max(1, Math.floor((able.length * share.percent) / 100)))
  ).map(({ name }) => name)
  const free = held === '' ? '' : ' and are free'
  const words = `${able.length} hosts report and take rules from a center${free}${held === '' ? '' : `; ${held}`}`
  if (chosen.length === 0) throw new ApiError(422, `spec.hosts: nobody is meant; ${words}`)
  if (chosen.length === able.length)
    throw new ApiError(422, `spec.hosts: everybody is meant, and nobody is left to compare with; ${words}`)
  if (chosen.length > maxHosts) throw new ApiError(422, `spec.hosts: ${chosen.length} hosts, allowed ${maxHosts}`)
  return chosen.toSorted()
}

/** It reports, and takes its rules from a center. */
export function canTake(host: KnownHost): boolean {
  return host.state === 'reporting' && isConnected(host)
}

/** It takes its rules from a center now. */
export function isConnected({ report }: Pick<KnownHost, 'report'>): boolean {
  return report.registries.some((registry) => registry.type === 'center' && registry.isConnected)
}

function ranked(hosts: readonly KnownHost[], seed: string): KnownHost[] {
  const ranks = hosts.map((host) => {
    return { host, rank: createHash('sha256').update(`${seed}\n${host.name}`).digest('hex') }
  })
  return ranks.toSorted((a, b) => (a.rank < b.rank ? -1 : 1)).map(({ host }) => host)
}
