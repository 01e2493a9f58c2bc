/**
 * `rateLimits` in `center.yaml`. Limits are written as in the configuration of Envoy's ratelimit service: descriptors
 * of a domain, one inside the other.
 */
import * as z from 'zod'
import { integer } from '../../agent/control/config/scalars.ts'
import { limitUnits } from '../../contracts/rate-limit-wire.ts'

/** Of one center. */
const maxDescriptors = 10_000
const maxDepth = 10

const word = z.string().min(1).max(256)

const limit = z
  .strictObject({
    unit: z.enum(limitUnits).optional(),
    requests_per_unit: z.int().min(0).max(0xff_ff_ff_ff).optional(),
    unlimited: z.boolean().optional(),
    name: z.string().max(256).optional(),
  })
  .superRefine(({ requests_per_unit, unit, unlimited = false }, context) => {
    const isSaid = unit !== undefined && requests_per_unit !== undefined
    const isPart = unit !== undefined || requests_per_unit !== undefined
    if (unlimited ? isPart : !isSaid)
      context.addIssue('allowed unit and requests_per_unit together, or unlimited: true')
  })

export interface DescriptorSection {
  readonly key: string
  readonly value?: string | undefined
  readonly rate_limit?: z.output<typeof limit> | undefined
  readonly shadow_mode?: boolean | undefined
  readonly descriptors?: readonly DescriptorSection[] | undefined
}

const descriptor: z.ZodType<DescriptorSection> = z.lazy(() =>
  z.strictObject({
    key: word,
    value: word.refine((value) => !value.endsWith('*'), { error: 'a * at the end, which is not done here' }).optional(),
    rate_limit: limit.optional(),
    shadow_mode: z.boolean().optional(),
    descriptors: z.array(descriptor).max(maxDescriptors).superRefine(areUnique).optional(),
  }),
)

const domains = z
  .array(
    z.strictObject({
      domain: word,
      descriptors: z.array(descriptor).max(maxDescriptors).superRefine(areUnique).default([]),
    }),
  )
  .max(1000)
  .superRefine((list, context) => {
    for (const [at, { domain }] of list.entries())
      if (list.findIndex((one) => one.domain === domain) < at)
        context.addIssue({ code: 'custom', path: [at, 'domain'], message: 'there before' })
    let count = 0
    const walk = (inner: readonly DescriptorSection[], depth: number): void => {
      count += inner.length
      if (depth > maxDepth) context.addIssue(`more than ${maxDepth} descriptors inside one another`)
      else for (const { descriptors } of inner) walk(descriptors ?? [], depth + 1)
    }
    for (const { descriptors } of list) walk(descriptors, 1)
    if (count > maxDescriptors) context.addIssue(`found ${count} descriptors, allowed ${maxDescriptors}`)
  })

function areUnique(list: readonly DescriptorSection[], context: z.RefinementCtx): void {
  const known = new Set<string>()
  for (const [at, { key, value }] of list.entries()) {
    const name = JSON.stringify([key, value])
    if (known.has(name)) context.addIssue({ code: 'custom', path: [at, 'key'], message: 'there before' })
    known.add(name)
  }
}

export type DomainSection = z.output<typeof domains>[number]

/** A tree of any depth, which the pages of settings show as one. */
const domainTree = z
  .unknown()
  .transform((value, context): readonly DomainSection[] => {
    const parsed = domains.safeParse(value)
    if (parsed.success) return parsed.data
    for (const { message, path } of parsed.error.issues.slice(0, 20))
      context.issues.push({ code: 'custom', input: value, path: [...path], message })
    return z.NEVER
  })
  .meta({ allowed: 'a list of domains with their descriptors' })
  .describe(
    "Each with a `domain` and its `descriptors`, in the form of Envoy's ratelimit service (`docs/rate-limits.md`).",
  )

export const rateLimitsSection = z.strictObject({
  domains: domainTree,
  maxCounters: integer(1000, 10_000_000)
    .prefault(100_000)
    .describe('Counters that are kept; beyond it those that were not asked about for longest begin anew.'),
})

export type RateLimitsSection = z.output<typeof rateLimitsSection>
