/**
 * The part of `docs/metrics.md` that control exports. What workers and registry adapters export is described by hand
 * above and below it.
 */
import { readFileSync } from 'node:fs'
import { metricTexts } from '../agent/control/metric-texts.ts'

const begin = '<!-- control: begin, written by scripts/generate-docs.ts from agent/control/metric-texts.ts -->'
const end = '<!-- control: end -->'

export function metricsDocument(): string {
  const page = readFileSync('docs/metrics.md', 'utf8')
  const [from, to] = [page.indexOf(begin), page.indexOf(end)]
  if (from < 0 || to < from) throw new Error('docs/metrics.md: the marks of the part of control are missing')
  const rows = Object.entries(metricTexts)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, text]) => `| \`${name}\` | ${name.endsWith('_total') ? 'counter' : 'gauge'} | ${text} |`)
  const table = ['', '| name | kind | meaning |', '| --- | --- | --- |', ...rows, ''].join('\n')
  return `${page.slice(0, from + begin.length)}\n${table}\n${page.slice(to)}`
}
