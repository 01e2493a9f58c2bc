/**
 * A report of a host as far as it is what the contract says; a host is not believed more than its bounds. What a newer
 * agent says beyond it is dropped: hosts are upgraded before centers, too.
 */
import { isIP } from 'node:net'
import * as z from 'zod'
import { dryRunBounds, dryRunKinds } from '../../contracts/dry-run.ts'
import {
  hostReportFormat,
  maxReportText,
  maxRuleName,
  reportBounds,
  type HostReport,
} from '../../contracts/host-report.ts'
import { reportedFaceBounds } from '../../contracts/reported-face.ts'
import { cleanText } from '../../agent/control/events/clean-text.ts'
import { ApiError } from '../../agent/control/rules-api/api-error.ts'

/** Ends up on the terminal of an operator, who must not obey it. */
const printable = (most: number) =>
  z
    .string()
    .max(most)
    .transform((said) => cleanText(said, most))
const text = printable(maxReportText)
const count = z.number().min(0).max(Number.MAX_SAFE_INTEGER)
const whole = count.int()
const port = z.number().int().min(0).max(65_535)

const user = z.number().int().min(0).max(0xffff_ffff)
const service = printable(2000)
const nacosFace = z.object({
  addresses: z.array(z.string().refine((address) => isIP(address) > 0)).max(reportedFaceBounds.addresses),
  hostNames: z.array(printable(253)).max(reportedFaceBounds.hostNames),
  trusted: z.array(user).max(reportedFaceBounds.trusted),
  grants: z
    .array(
      z.object({
        user,
        services: z.array(service).max(256),
        maxWeight: z.number().min(0).max(10_000),
        ports: z.array(z.object({ first: port, last: port })).max(64),
      }),
    )
    .max(reportedFaceBounds.grants),
  held: z
    .array(z.object({ service, user: z.number().int().min(-1).max(0xffff_ffff), address: text, port }))
    .max(reportedFaceBounds.held),
})

/** Rows of traffic are many: looked at by hand, which costs a tenth. */
const traffic = z
  .custom<HostReport['traffic']>(
    (value) => Array.isArray(value) && value.length <= reportBounds.traffic && value.every(isTraffic),
    `allowed a list of at most ${reportBounds.traffic} rows of reporter, source, service, requests, failures, counts`,
  )
  .transform((rows) => rows.map(knownOf))

const shape = z.object({
  format: z.literal(hostReportFormat),
  host: z.string().min(1).max(253),
  address: z.string().refine((address) => isIP(address) > 0, 'allowed an address'),
  zone: text,
  region: text,
  labels: z
    .record(z.string().max(253), text)
    .refine((labels) => Object.keys(labels).length <= reportBounds.labels, `allowed at most ${reportBounds.labels}`),
  version: text,
  generation: whole,
  startedAt: count,
  workers: whole,
  snapshotVersion: whole,
  isReady: z.boolean(),
  problems: z.array(text).max(reportBounds.problems),
  tier: z.object({ now: z.enum(['agent', 'center', 'direct']), agent: count, center: count, direct: count }),
  connections: count,
  applications: z
    .array(
      z.object({
        service,
        address: text,
        port,
        inboundPort: port,
        protocol: text,
        health: z.enum(['healthy', 'unhealthy', 'unchecked']),
        state: text,
        problem: text,
      }),
    )
    .max(reportBounds.applications),
  registries: z
    .array(z.object({ name: text, type: text, isConnected: z.boolean(), problem: text }))
    .max(reportBounds.registries),
  rules: z.object({
    applied: whole,
    rejected: z
      .array(z.object({ kind: text, namespace: text, name: text, source: text, state: text, message: text }))
      .max(reportBounds.rejectedRules),
    asked: z
      .array(z.object({ rule: printable(maxRuleName), version: text, state: text }))
      .max(reportBounds.askedRules)
      .optional(),
  }),
  lastRestart: z
    .strictObject({
      kind: text,
      outcome: text,
      generation: whole,
      cause: text,
      at: count,
      servingMs: z.number().min(-1),
    })
    .optional(),
  dryRun: z
    .strictObject({
      id: text,
      state: z.enum(['running', 'over', 'refused']),
      problem: text,
      figures: z.object({
        evaluated: count,
        different: count,
        undecided: count,
        failed: count,
        failure: text,
        others: count,
        differences: z
          .array(
            z.object({
              kind: z.enum(dryRunKinds),
              host: text,
              route: text,
              now: text,
              then: text,
              requests: count,
              example: text,
            }),
          )
          .max(dryRunBounds.differences),
      }),
    })
    .optional(),
  nacosFace: nacosFace.optional(),
  bucketsMs: z.array(count).max(reportBounds.buckets - 1),
  traffic,
})

/** Throws ApiError 422 with the fields that are wrong. */
export function readReport(value: unknown): HostReport {
  const result = shape.safeParse(value)
  if (result.success) return result.data as HostReport
  const causes = result.error.issues
    .slice(0, 10)
    .map(({ path, message }) => ({ field: path.join('.') || '(report)', message }))
  const words = causes.map(({ field, message }) => `${field}: ${message}`).join('; ')
  throw new ApiError(422, `the report of a host: ${words}`, { causes })
}

function isTraffic(row: unknown): boolean {
  if (typeof row !== 'object' || row === null) return false
  const { reporter, source, service, requests, failures, counts } = row as Record<string, unknown>
  return (
    (reporter === 'source' || reporter === 'destination') &&
    isText(source) &&
    isText(service) &&
    isCount(requests) &&
    isCount(failures) &&
    Array.isArray(counts) &&
    counts.length <= reportBounds.buckets &&
    counts.every(isCount)
  )
}

/** As they come from an agent of this version they are taken as they are. */
function knownOf(row: HostReport['traffic'][number]): HostReport['traffic'][number] {
  if (Object.keys(row).length === 6) return row
  const { reporter, source, service, requests, failures, counts } = row
  return { reporter, source, service, requests, failures, counts }
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value.length <= maxReportText
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && value >= 0 && value <= Number.MAX_SAFE_INTEGER
}
