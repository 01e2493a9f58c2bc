/** Prints a report as text; losses are printed like wins. */
import type { Goal, ScenarioReport } from './scenario.ts'

export function renderReport(report: ScenarioReport): string {
  const lines = [`== ${report.title} ==`, ...report.method.map((line) => `   ${line}`), '']
  lines.push(...renderTable(report.columns, report.rows), '')
  for (const goal of report.goals) lines.push(`${wordFor(goal).padEnd(9)} ${goal.text}: ${goal.measured}`)
  for (const remark of report.remarks) lines.push(`remark    ${remark}`)
  return `${lines.join('\n')}\n`
}

function wordFor(goal: Goal): string {
  if (goal.isMet === undefined) return 'not known'
  return goal.isMet ? 'met' : 'NOT MET'
}

function renderTable(columns: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = columns.map((column, index) =>
    Math.max(column.length, ...rows.map((row) => (row[index] ?? '').length)),
  )
  const line = (cells: readonly string[]): string =>
    cells.map((cell, index) => (index === 0 ? cell.padEnd(widths[index]!) : cell.padStart(widths[index]!))).join('  ')
  return [line(columns), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)]
}
