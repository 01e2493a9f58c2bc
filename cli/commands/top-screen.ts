/** How `hostmesh top` stands on a terminal and in a pipe. */
import type { Output } from '../output.ts'
import type { Screen } from '../terminal/full-screen.ts'
import { sortKeys } from './top-rows.ts'
import type { SortColumn, TopRow, TrafficLook } from './top-rows.ts'

const smallest: Screen = { columns: 80, rows: 24 }
const heading = ['service', 'side', 'req/s', 'failed', 'p50 ms', 'p99 ms'] as const
/** Where the columns by which rows are sorted stand. */
const places: Readonly<Record<SortColumn, number>> = { service: 0, rate: 2, failed: 3, p50: 4, p99: 5 }

function cells({ failedShare, p50, p99, perSecond, service, side }: TopRow): string[] {
  const ms = (value: number): string =>
    Number.isNaN(value) ? '-' : Number.isFinite(value) ? value.toFixed(value < 10 ? 1 : 0) : 'over'
  const share = failedShare === 0 ? '0' : `${(failedShare * 100).toFixed(failedShare < 0.1 ? 1 : 0)} %`
  return [service, side, perSecond.toFixed(perSecond < 10 ? 1 : 0), share, ms(p50), ms(p99)]
}

/** Beside the title of the column that sorts. */
const mark = '*'
const help = `q quit   sort by ${Object.entries(sortKeys)
  .map(([column, key]) => `${key} ${column}`)
  .join(', ')}`

function headLine(look: TrafficLook): string {
  const lost = look.registries.filter(({ connected }) => !connected).map(({ name }) => name)
  const registries = lost.length === 0 ? `${look.registries.length} registries` : `registry ${lost.join(', ')} is lost`
  return `${look.host}  tier ${look.tier}  generation ${look.generation}${look.generations > 1 ? ' (another one drains)' : ''}  ${look.workers} workers  ${look.restarts} restarts kept  ${look.connections} connections  ${registries}`
}

export function printTop(output: Output, look: TrafficLook, rows: readonly TopRow[]): void {
  output.line(headLine(look))
  output.table(heading, rows.map(cells))
}

/** What is drawn: rows in their order, the column that made it, and why the last look failed ('' = it did not). */
export interface TopView {
  readonly look: TrafficLook
  readonly rows: readonly TopRow[]
  readonly sortedBy: SortColumn
  readonly problem: string
}

/** At most `screen.rows` lines of at most `screen.columns` characters. */
export function drawTop(output: Output, { look, problem, rows, sortedBy }: TopView, given: Partial<Screen>): string[] {
  const columns = given.columns ?? smallest.columns
  const height = given.rows ?? smallest.rows
  const cut = (text: string): string => (text.length <= columns ? text : `${text.slice(0, columns - 1)}…`)
  const table = rows.map(cells)
  const titles = heading.map((title, at) => (at === places[sortedBy] ? `${title}${mark}` : title))
  const widths = titles.map((title, at) => Math.max(title.length, ...table.map((row) => row[at]!.length)))
  const line = (row: readonly string[]): string =>
    cut(row.map((cell, at) => (at < 2 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join('  '))
  const isBad = look.tier !== 'agent' || look.registries.some(({ connected }) => !connected)
  const head = [output.style(isBad ? 'yellow' : 'bold', cut(headLine(look))), '', output.style('bold', line(titles))]
  const foot = [problem === '' ? cut(help) : output.style('red', cut(problem))]
  const room = Math.max(0, height - head.length - foot.length)
  const body = table
    .slice(0, room)
    .map((row, at) => (rows[at]!.failedShare > 0 ? output.style('red', line(row)) : line(row)))
  return [...head, ...body, ...foot].slice(0, height)
}
