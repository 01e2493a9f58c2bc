/** What a request for a dry run says. */
import * as z from 'zod'
import { parseDuration } from '../../agent/control/config/scalars.ts'
import { dryRunBounds } from '../../contracts/dry-run.ts'
import { ApiError } from '../../agent/control/rules-api/api-error.ts'
import { labels } from '../rollouts/rollout-order.ts'

const shape = z.strictObject({
  apiVersion: z.literal('hostmesh.io/v1').optional(),
  kind: z.literal('DryRun').optional(),
  metadata: z.record(z.string(), z.unknown()).optional(),
  spec: z.strictObject({
    rule: z.record(z.string(), z.unknown()),
    hosts: z.strictObject({ labels }).optional(),
    share: z.number().gt(0).max(1).default(0.1),
    for: z
      .string()
      .transform((text) => parseDuration(text) ?? Number.NaN)
      .refine((ms) => ms >= 5000 && ms <= dryRunBounds.ms, 'allowed a duration from 5s to 1h')
      .prefault('60s'),
  }),
})

export type DryRunRequest = z.output<typeof shape>['spec']

/** Throws ApiError 422. */
export function readDryRunOrder(body: Record<string, unknown>): DryRunRequest {
  const result = shape.safeParse(body)
  if (result.success) return result.data.spec
  const causes = result.error.issues.slice(0, 10).map(({ path, message }) => ({ field: path.join('.'), message }))
  throw new ApiError(422, `the dry run: ${causes.map(({ field, message }) => `${field}: ${message}`).join('; ')}`, {
    causes,
  })
}
