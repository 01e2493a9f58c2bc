/**
 * The live picture of the demo: who calls whom, rates, errors, tier; the hosts; what happened; which keys there are.
 * Fits the terminal, from 80 × 24 on.
 */
import type { Output } from '../output.ts'
import type { Screen } from '../terminal/full-screen.ts'
import type { Caller } from '../traffic/callers.ts'
import type { TallyView } from '../traffic/tally.ts'

export interface HostLine {
  readonly name: string
  readonly address: string
  readonly text: string
  readonly isGood: boolean
}

export interface Picture {
  readonly title: string
  readonly hosts: readonly HostLine[]
  readonly callers: readonly Pick<Caller, 'from' | 'to' | 'how' | 'tally'>[]
  /** Of the command, for a second terminal. */
  readonly commands: readonly string[]
  /** Newest last. */
  readonly events: readonly string[]
  readonly keys: readonly (readonly [key: string, meaning: string])[]
}

const windowMs = 2000
/** From this width on there is room for how a caller dials. */
const wideColumns = 120
const smallest: Screen = { columns: 80, rows: 24 }

/** At most `screen.rows` lines of at most `screen.columns` characters, without cursor movements. */
export function drawPicture(output: Output, picture: Picture, now: number, given: Partial<Screen>): string[] {
  const columns = given.columns ?? smallest.columns
  const rows = given.rows ?? smallest.rows
  const cut = (text: string): string => (text.length <= columns ? text : `${text.slice(0, columns - 1)}…`)
  const head = [output.style('bold', cut(picture.title)), '']
  for (const host of picture.hosts) {
    const text = cut(`● ${host.name.padEnd(8)}${host.address.padEnd(16)}${host.text}`)
    head.push(output.style(host.isGood ? 'green' : 'red', '●') + text.slice(1))
  }
  head.push('', ...callTable(output, picture.callers, now, columns, cut))
  head.push('', ...picture.commands.map((command) => output.style('dim', cut(`second terminal: ${command}`))))
  const foot = ['', ...keyLines(output, picture.keys, columns)]
  const room = Math.max(0, rows - head.length - foot.length - 1)
  const newest = room === 0 ? [] : picture.events.slice(-room)
  const events = newest.length === 0 ? [] : ['', ...newest.map((event) => output.style('dim', cut(event)))]
  return [...head, ...events, ...foot].slice(0, rows)
}

function callTable(
  output: Output,
  callers: Picture['callers'],
  now: number,
  columns: number,
  cut: (text: string) => string,
): string[] {
  const isWide = columns >= wideColumns
  const heading = ['call', ...(isWide ? ['through'] : []), '/s', 'err', 'p50', 'p99 ms', 'tier', 'versions']
  const views = callers.map((caller) => caller.tally.since(now - windowMs))
  const rows = callers.map((caller, index) => cellsOf(caller, views[index]!, isWide))
  const widths = heading.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)) + 1)
  const line = (cells: readonly string[]): string =>
    cut(
      cells
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('')
        .trimEnd(),
    )
  return [output.style('bold', line(heading)), ...rows.map((row, index) => colour(output, views[index]!, line(row)))]
}

function cellsOf(caller: Picture['callers'][number], view: TallyView, isWide: boolean): string[] {
  return [
    `${caller.from} → ${caller.to}`,
    ...(isWide ? [caller.how] : []),
    view.perSecond.toFixed(0),
    String(view.errors),
    view.p50Ms.toFixed(1),
    view.p99Ms.toFixed(1),
    shares(view.tiers),
    view.errors > 0 ? Object.keys(view.reasons).join(', ') : shares(view.versions),
  ]
}

function colour(output: Output, view: TallyView, text: string): string {
  if (view.errors > 0) return output.style('red', text)
  return 'center' in view.tiers || 'direct' in view.tiers ? output.style('yellow', text) : text
}

function keyLines(output: Output, keys: Picture['keys'], columns: number): string[] {
  const lines: string[] = []
  let width = Number.POSITIVE_INFINITY
  for (const [key, meaning] of keys) {
    const text = `${output.style('cyan', key)} ${meaning}`
    const needed = key.length + 1 + meaning.length
    if (width + 3 + needed > columns) {
      lines.push(text)
      width = needed
    } else {
      lines[lines.length - 1] += `   ${text}`
      width += 3 + needed
    }
  }
  return lines
}

function shares(counts: Readonly<Record<string, number>>): string {
  const names = Object.entries(counts)
  const total = names.reduce((sum, [, count]) => sum + count, 0)
  if (names.length === 0) return '-'
  if (names.length === 1) return names[0]![0]
  return names.map(([name, count]) => `${name} ${Math.round((100 * count) / total)}%`).join(' ')
}
