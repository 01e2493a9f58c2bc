/** Reports of drills as one page that needs nothing else: no script, no font, no picture from elsewhere. */
import type { TimelineStep } from '../traffic/tally.ts'
import { percent } from './guard.ts'
import { type DrillReport, type DrillSeries, allowedWords, recoveryWords, seriesWords, shares } from './report.ts'

const width = 760
const callsHeight = 110
const latencyHeight = 80
const left = 46
/** Of tiers, and of what was lost. */
const colours: Readonly<Record<string, string>> = {
  agent: '#3a7d44',
  center: '#2f6db3',
  direct: '#8a5fb0',
  none: '#888',
}
const lostColour = '#c0392b'

const style = `
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; color: #222 }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.5rem }
table { border-collapse: collapse; margin: .8rem 0 } td, th { border-bottom: 1px solid #ddd; padding: .25rem .7rem; text-align: left; vertical-align: top }
.kept { color: #3a7d44 } .broken, .aborted { color: #c0392b } .skipped { color: #777 }
svg { display: block; margin: .6rem 0; max-width: 100%; height: auto } text { font: 11px system-ui, sans-serif; fill: #555 }
@media (prefers-color-scheme: dark) { body { background: #16181b; color: #ddd } td, th { border-color: #3a3d42 } text { fill: #aaa } .kept { color: #6fbf7b } .broken, .aborted { color: #f0796b } }`

/** All reports with a table over them. */
export function drillHtml(series: DrillSeries): string {
  const { reports, skipped, startedAt } = series
  const rows = [
    ...reports.map((report, index) => [
      escaped(report.host),
      `<a href="#r${index}">${escaped(report.drill)}</a>`,
      `<span class="${report.verdict}">${report.verdict}</span>`,
      `${report.probe.errors} of ${report.probe.calls}`,
      recoveryWords(report),
    ]),
    ...skipped.map(({ drill, host, reason }) => [
      escaped(host),
      escaped(drill),
      `<span class="skipped">not run: ${escaped(reason)}</span>`,
      '-',
      '-',
    ]),
  ]
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Hostmesh drills ${escaped(startedAt)}</title>
<style>${style}</style>
<h1>Drills, ${escaped(startedAt)}: ${seriesWords(series)}</h1>
${table(['host', 'drill', 'verdict', 'lost', 'recovery'], rows)}
${reports.map((report, index) => section(report, index)).join('\n')}
</html>
`
}

function section(report: DrillReport, index: number): string {
  const { probe, real } = report
  const facts = [
    ['does', escaped(report.does)],
    ['blast radius', escaped(report.blastRadius)],
    ['promise', escaped(report.promise)],
    [
      'lost',
      `${probe.errors} of ${probe.calls} probe calls (${allowedWords(report)}): ${escaped(shares(probe.reasons))}`,
    ],
    ['tiers', escaped(shares(probe.tiers))],
    ['latency', `p50 ${probe.p50Ms.toFixed(1)} ms, p99 ${probe.p99Ms.toFixed(1)} ms`],
    ['recovery', recoveryWords(report)],
    ['real requests', `${real.requests}, failed ${real.failures}; it gives up above ${percent(report.abortAbove)}`],
  ]
  const problems = report.problems.map((problem) => `<li>${escaped(problem)}</li>`).join('')
  return `<h2 id="r${index}">${escaped(report.drill)} on ${escaped(report.host)}: <span class="${report.verdict}">${report.verdict}</span></h2>
${problems === '' ? '' : `<ul class="broken">${problems}</ul>`}
${chart(report)}
${table([], facts)}`
}

/** Calls by tier as bars, what was lost on top; below, the slowest answer of each piece. Events are lines over both. */
function chart({ events, timeline }: DrillReport): string {
  if (timeline.length === 0) return '<p>No call was measured.</p>'
  const step = (timeline[1]?.atMs ?? 100) - timeline[0]!.atMs
  const spanMs = timeline.length * step
  const x = (ms: number): number => left + (ms / spanMs) * (width - left)
  const most = Math.max(1, ...timeline.map(({ lost, tiers }) => lost + sum(tiers)))
  const slowest = Math.max(1, ...timeline.map(({ slowestMs }) => slowestMs))
  const bar = Math.max(1, x(step) - x(0) - 0.5)
  const bars = timeline.flatMap((piece) => barsOf(piece, x(piece.atMs), bar, most))
  const line = timeline
    .map(
      ({ atMs, slowestMs }) =>
        `${round(x(atMs + step / 2))},${round(latencyTop + latencyHeight * (1 - slowestMs / slowest))}`,
    )
    .join(' ')
  const marks = events.map(({ atMs, what }, index) => {
    const at = round(Math.min(width - 2, x(Math.max(0, atMs))))
    const y = 12 + (index % 3) * 12
    const anchor = at > width - 160 ? 'end' : 'start'
    return `<line x1="${at}" x2="${at}" y1="0" y2="${height - 16}" stroke="#999" stroke-dasharray="3 3"/><text x="${at + (anchor === 'end' ? -3 : 3)}" y="${y}" text-anchor="${anchor}">${escaped(what)}</text>`
  })
  const seconds = Array.from({ length: Math.floor(spanMs / 1000) + 1 }, (_, index) => index).filter(
    (second) => second % Math.ceil(spanMs / 10_000) === 0,
  )
  const axis = seconds.map((second) => `<text x="${round(x(second * 1000))}" y="${height - 3}">${second} s</text>`)
  const legend = [
    ...Object.keys(colours).filter((tier) => timeline.some(({ tiers }) => (tiers[tier] ?? 0) > 0)),
    'lost',
  ]
    .map((name) => `<span style="color:${colours[name] ?? lostColour}">■</span> ${name}`)
    .join(' &nbsp; ')
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="calls and latency over time">
${bars.join('')}
<polyline points="${line}" fill="none" stroke="#d08a1d" stroke-width="1.5"/>
<text x="0" y="${callsTop + 10}">${most} calls</text><text x="0" y="${latencyTop + 10}">${slowest} ms</text>
${marks.join('')}
${axis.join('')}
</svg>
<p>${legend} &nbsp; <span style="color:#d08a1d">—</span> slowest answer; a piece is ${step} ms</p>`
}

const callsTop = 40
const latencyTop = callsTop + callsHeight + 14
const height = latencyTop + latencyHeight + 20

function barsOf({ lost, tiers }: TimelineStep, x: number, bar: number, most: number): string[] {
  let base = callsTop + callsHeight
  return [...Object.entries(tiers), ['lost', lost] as const].flatMap(([name, count]) => {
    if (count === 0) return []
    const tall = (count / most) * callsHeight
    base -= tall
    const colour = name === 'lost' ? lostColour : (colours[name] ?? colours['none'])
    return [`<rect x="${round(x)}" y="${round(base)}" width="${round(bar)}" height="${round(tall)}" fill="${colour}"/>`]
  })
}

const sum = (record: Readonly<Record<string, number>>): number =>
  Object.values(record).reduce((all, count) => all + count, 0)
const round = (value: number): number => Math.round(value * 10) / 10

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (row: readonly string[], name: 'td' | 'th'): string =>
    `<tr>${row.map((text) => `<${name}>${text}</${name}>`).join('')}</tr>`
  return `<table>${head.length === 0 ? '' : cells(head, 'th')}${rows.map((row) => cells(row, 'td')).join('')}</table>`
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
