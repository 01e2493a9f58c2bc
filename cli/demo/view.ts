/** The live picture of the demo: who calls whom, rates, errors, tier; the hosts; what happened; which keys there are. */
import type { Output } from '../output.ts'
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
  readonly callers: readonly Caller[]
  /** Newest last. */
  readonly events: readonly string[]
  readonly keys: readonly (readonly [key: string, meaning: string])[]
}

const windowMs = 2000
const clearAndHome = '\u001b[H\u001b[J'

export function drawPicture(output: Output, picture: Picture, now: number): string {
  const lines: string[] = [output.style('bold', picture.title), '']
  for (const host of picture.hosts) {
    const mark = host.isGood ? output.style('green', '●') : output.style('red', '●')
    lines.push(`${mark} ${host.name.padEnd(10)} ${host.address.padEnd(16)} ${host.text}`)
  }
  lines.push('', ...callTable(output, picture.callers, now))
  lines.push('')
  for (const event of picture.events.slice(-8)) lines.push(output.style('dim', event))
  lines.push('', picture.keys.map(([key, meaning]) => `${output.style('cyan', key)} ${meaning}`).join('   '))
  return clearAndHome + lines.join('\n')
}

const heading = ['call', 'through', 'per s', 'errors', 'p50 ms', 'p99 ms', 'tier', 'versions', '']

function callTable(output: Output, callers: readonly Caller[], now: number): string[] {
  const views = callers.map((caller) => caller.tally.since(now - windowMs))
  const rows = callers.map((caller, index) => cellsOf(caller, views[index]!))
  const widths = heading.map((title, column) => Math.max(title.length, ...rows.map((row) => row[column]!.length)) + 2)
  const line = (cells: readonly string[]): string => cells.map((cell, column) => cell.padEnd(widths[column]!)).join('')
  return [output.style('bold', line(heading)), ...rows.map((row, index) => colour(output, views[index]!, line(row)))]
}

function cellsOf(caller: Caller, view: TallyView): string[] {
  return [
    `${caller.from} → ${caller.to}`,
    caller.how,
    view.perSecond.toFixed(0),
    String(view.errors),
    view.p50Ms.toFixed(1),
    view.p99Ms.toFixed(1),
    shares(view.tiers, view.calls),
    shares(view.versions, view.calls),
    Object.keys(view.reasons).join(', '),
  ]
}

function colour(output: Output, view: TallyView, text: string): string {
  if (view.errors > 0) return output.style('red', text)
  return 'center' in view.tiers || 'direct' in view.tiers ? output.style('yellow', text) : text
}

function shares(counts: Readonly<Record<string, number>>, total: number): string {
  const names = Object.entries(counts)
  if (names.length === 0 || total === 0) return '-'
  if (names.length === 1) return names[0]![0]
  return names.map(([name, count]) => `${name} ${Math.round((100 * count) / total)}%`).join(' ')
}
