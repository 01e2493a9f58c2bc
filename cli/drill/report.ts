/** The report of a drill: one value, as JSON for programs and Markdown for people. */
import type { TallyView } from '../traffic/tally.ts'

export interface DrillReport {
  readonly drill: string
  readonly host: string
  /** ISO 8601. */
  readonly startedAt: string
  readonly promise: string
  readonly verdict: 'kept' | 'broken'
  /** Why it is broken, one line each. */
  readonly problems: readonly string[]
  /** ms until the host was whole again; undefined = not within the bound. */
  readonly recoveryMs: number | undefined
  readonly maxLost: number
  readonly probe: TallyView
}

export function drillMarkdown(report: DrillReport): string {
  const { probe } = report
  const shares = (record: Readonly<Record<string, number>>): string =>
    Object.entries(record)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ') || '-'
  return `# Drill ${report.drill} on ${report.host}: ${report.verdict}

${report.startedAt}. Promise: ${report.promise}.

| what | value |
|---|---|
| probe calls | ${probe.calls} |
| lost | ${probe.errors} (allowed ${report.maxLost}) |
| why | ${shares(probe.reasons)} |
| tiers | ${shares(probe.tiers)} |
| latency p50, p99 | ${probe.p50Ms.toFixed(1)} ms, ${probe.p99Ms.toFixed(1)} ms |
| recovery | ${report.recoveryMs === undefined ? 'not in time' : `${Math.round(report.recoveryMs)} ms`} |
${report.problems.map((problem) => `\n- ${problem}`).join('')}
`
}
