/** Reports in the state directory: JSON, Markdown and a page each, the newest kept. */
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { writeKept } from './kept-files.ts'
import { drillHtml } from './report-html.ts'
import { type DrillReport, type DrillSeries, drillMarkdown, seriesMarkdown } from './report.ts'

/** Reports that are kept, of whatever kind; older ones go. */
export const keptReports = 100

/** Answers where its page lies. */
export function saveReport(report: DrillReport, directory: string): string {
  const series = { startedAt: report.startedAt, reports: [report], skipped: [] }
  return save(directory, `${stamp(report.startedAt)}-${report.drill}`, report, drillMarkdown(report), series)
}

/** The same for a row of drills. */
export function saveSeries(series: DrillSeries, directory: string): string {
  return save(directory, `${stamp(series.startedAt)}-all`, series, seriesMarkdown(series), series)
}

const stamp = (startedAt: string): string => startedAt.replace(/[:.]/g, '-')

function save(directory: string, name: string, value: object, markdown: string, series: DrillSeries): string {
  const page = join(directory, `${name}.html`)
  writeKept(join(directory, `${name}.json`), JSON.stringify(value, undefined, 2), 0o600)
  writeKept(join(directory, `${name}.md`), markdown, 0o600)
  writeKept(page, drillHtml(series), 0o600)
  const old = readdirSync(directory)
    .filter((one) => one.endsWith('.json'))
    .toSorted()
    .slice(0, -keptReports)
  for (const one of old)
    for (const kind of ['json', 'md', 'html']) rmSync(join(directory, one.replace(/json$/, kind)), { force: true })
  return page
}
