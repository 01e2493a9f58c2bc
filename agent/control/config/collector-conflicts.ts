/** What a collector's section says that cannot hold. */
import type { Report } from './node-kind.ts'
import { reportFile } from './readable-file.ts'
import type { CollectorConfig } from './types.ts'

const files = ['ca', 'cert', 'key', 'headersFile'] as const
const secrets: ReadonlySet<string> = new Set(['key', 'headersFile'])

export function collectorConflicts(at: readonly string[], collector: CollectorConfig, report: Report): void {
  for (const key of files) reportFile(report, [...at, key], collector[key], secrets.has(key))
  for (const [one, other] of [
    ['cert', 'key'],
    ['key', 'cert'],
  ] as const)
    if (collector[one] !== undefined && collector[other] === undefined)
      report([...at, one], `found without ${other}, allowed both or none`)
  if (collector.url.startsWith('https:')) return
  for (const key of ['ca', 'cert'] as const)
    if (collector[key] !== undefined) report([...at, key], `found beside ${collector.url}, allowed with https only`)
}
