/** The report of a drill: one value, as JSON for programs, Markdown for people, HTML for whoever wants to see it. */
import type { TallyView, TimelineStep } from '../traffic/tally.ts'
import { type Harm, percent } from './guard.ts'

export interface DrillEvent {
  /** ms since the begin of `timeline`. */
  readonly atMs: number
  readonly what: string
}

export interface DrillReport {
  readonly drill: string
  readonly host: string
  /** ISO 8601. */
  readonly startedAt: string
  readonly does: string
  readonly blastRadius: string
  readonly promise: string
  /** `aborted`: it gave up because real requests suffered; what it broke was put right. */
  readonly verdict: 'kept' | 'broken' | 'aborted'
  /** Why it is not kept, one line each. */
  readonly problems: readonly string[]
  /** ms until the host was whole again; undefined = not within the bound. */
  readonly recoveryMs: number | undefined
  readonly maxLost: number
  /** So long after the fault losses are allowed, ms. */
  readonly noticedWithinMs: number
  readonly probe: TallyView
  /** Real requests of this host meanwhile. */
  readonly real: Harm
  /** Share of them that may fail before the drill gives up, 0..1. */
  readonly abortAbove: number
  readonly events: readonly DrillEvent[]
  readonly timeline: readonly TimelineStep[]
}

/** A drill that did not run, because the host was not fit for it. */
export interface SkippedDrill {
  readonly drill: string
  readonly host: string
  readonly reason: string
}

/** Of `hostmesh drill all`, and of several hosts. */
export interface DrillSeries {
  readonly startedAt: string
  readonly reports: readonly DrillReport[]
  readonly skipped: readonly SkippedDrill[]
}

export function drillMarkdown(report: DrillReport): string {
  const { probe, real } = report
  return `# Drill ${report.drill} on ${report.host}: ${report.verdict}

${report.startedAt}. It ${report.does}. Promise: ${report.promise}.

| what | value |
|---|---|
| probe calls | ${probe.calls} |
| lost | ${probe.errors} (${allowedWords(report)}) |
| why | ${shares(probe.reasons)} |
| tiers | ${shares(probe.tiers)} |
| latency p50, p99 | ${probe.p50Ms.toFixed(1)} ms, ${probe.p99Ms.toFixed(1)} ms |
| recovery | ${recoveryWords(report)} |
| real requests | ${real.requests}, failed ${real.failures} (gives up above ${percent(report.abortAbove)}) |
${report.problems.map((problem) => `\n- ${oneLine(problem)}`).join('')}
`
}

export function seriesMarkdown({ reports, skipped, startedAt }: DrillSeries): string {
  const rows = reports.map(
    (report) =>
      `| ${report.host} | ${report.drill} | ${report.verdict} | ${report.probe.errors} of ${report.probe.calls} | ${recoveryWords(report)} | ${report.problems.map(cell).join('; ') || '-'} |`,
  )
  const left = skipped.map(({ drill, host, reason }) => `| ${host} | ${drill} | not run | - | - | ${cell(reason)} |`)
  return `# Drills, ${startedAt}: ${seriesWords({ reports, skipped, startedAt })}

| host | drill | verdict | lost | recovery | why |
|---|---|---|---|---|---|
${[...rows, ...left].join('\n')}
`
}

export function seriesWords({ reports, skipped }: DrillSeries): string {
  const count = (verdict: DrillReport['verdict']): number => reports.filter((one) => one.verdict === verdict).length
  return `${count('kept')} kept, ${count('broken')} broken, ${count('aborted')} aborted, ${skipped.length} not run`
}

export function recoveryWords({ recoveryMs }: Pick<DrillReport, 'recoveryMs'>): string {
  return recoveryMs === undefined ? 'not in time' : `${Math.round(recoveryMs)} ms`
}

export function allowedWords({ maxLost, noticedWithinMs }: DrillReport): string {
  return noticedWithinMs === 0 ? `allowed ${maxLost}` : `allowed ${maxLost} later than ${noticedWithinMs / 1000} s`
}

export function shares(record: Readonly<Record<string, number>>): string {
  const parts = Object.entries(record).map(([name, count]) => `${name} ${count}`)
  return parts.join(', ') || '-'
}

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ')
const cell = (text: string): string => oneLine(text).replaceAll('|', '\\|')
