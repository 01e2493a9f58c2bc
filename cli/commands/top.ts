/** `hostmesh top`: a live view of what this host serves, out of two looks at its counters. */
import { adminJson } from '../admin-client.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Output } from '../output.ts'
import { FullScreen, type Screen } from '../terminal/full-screen.ts'
import { pause, untilStopped } from '../terminal/stoppable.ts'

export interface TopCall {
  readonly intervalMs: number
  /** One table and out. */
  readonly once: boolean
}

interface ServiceCounters {
  readonly reporter: string
  readonly service: string
  readonly requests: number
  readonly failures: number
  readonly bounds: readonly number[]
  readonly counts: readonly number[]
}

export interface TrafficLook {
  readonly host: string
  readonly generation: number
  readonly generations: number
  readonly workers: number
  readonly restarts: number
  readonly connections: number
  readonly tier: string
  readonly registries: readonly { readonly name: string; readonly connected: boolean }[]
  readonly services: readonly ServiceCounters[]
}

export interface TopRow {
  readonly service: string
  readonly side: 'out' | 'in'
  readonly perSecond: number
  /** 0 to 1, of the requests between the two looks. */
  readonly failedShare: number
  /** ms, Infinity above the last bucket; NaN without a request. */
  readonly p50: number
  readonly p99: number
}

const smallest: Screen = { columns: 80, rows: 24 }

export async function top(context: CommandContext, call: TopCall): Promise<ExitCode> {
  const { admin, output } = context
  const look = async (): Promise<TrafficLook> => (await adminJson(admin, '/traffic')) as TrafficLook
  let before = await look()
  let beforeAt = performance.now()
  const rowsNow = async (): Promise<{ now: TrafficLook; rows: TopRow[] }> => {
    const now = await look()
    const at = performance.now()
    const rows = topRows(before, now, (at - beforeAt) / 1000)
    before = now
    beforeAt = at
    return { now, rows }
  }
  if (call.once || !output.isTerminal || !process.stdin.isTTY) {
    return untilStopped(async (stop) => {
      do {
        await pause(call.intervalMs, stop)
        if (stop.aborted) break
        const { now, rows } = await rowsNow()
        if (output.isJson) output.json({ ...headOf(now), services: rows })
        else printTop(output, now, rows)
      } while (!call.once && !stop.aborted)
      return exitCodes.ok
    })
  }
  return untilStopped(async (stop) => {
    const leave = new AbortController()
    stop.addEventListener('abort', () => leave.abort())
    const screen = new FullScreen(process.stdin, process.stdout, (key) => {
      if (key === 'q' || key === '\u0003') leave.abort()
    })
    let problem = ''
    let last = { now: before, rows: topRows(before, before, 1) }
    try {
      while (!leave.signal.aborted) {
        screen.show(drawTop(output, last.now, last.rows, problem, screen.size))
        await pause(call.intervalMs, leave.signal)
        if (leave.signal.aborted) break
        try {
          last = await rowsNow()
          problem = ''
        } catch (error) {
          problem = error instanceof Error ? error.message : String(error)
        }
      }
    } finally {
      screen.close()
    }
    return exitCodes.ok
  })
}

const headOf = ({ services: _services, ...head }: TrafficLook): Omit<TrafficLook, 'services'> => head

/** Busiest first. Counters that fell (`/reset_counters`) count from zero. */
export function topRows(before: TrafficLook, now: TrafficLook, seconds: number): TopRow[] {
  const earlier = new Map(before.services.map((one) => [`${one.reporter}\n${one.service}`, one]))
  return now.services
    .map((service): TopRow => {
      const last = earlier.get(`${service.reporter}\n${service.service}`)
      const since = (value: number, was: number | undefined): number =>
        was === undefined || value < was ? value : value - was
      const requests = since(service.requests, last?.requests)
      const failures = Math.min(requests, since(service.failures, last?.failures))
      const counts = service.counts.map((count, at) => since(count, last?.counts[at]))
      return {
        service: service.service,
        side: service.reporter === 'destination' ? 'in' : 'out',
        perSecond: requests / seconds,
        failedShare: requests === 0 ? 0 : failures / requests,
        p50: quantile(service.bounds, counts, 0.5),
        p99: quantile(service.bounds, counts, 0.99),
      }
    })
    .toSorted((a, b) => b.perSecond - a.perSecond || (a.service < b.service ? -1 : 1))
}

/** Between the bounds of its bucket in proportion, as Prometheus does. */
function quantile(bounds: readonly number[], counts: readonly number[], share: number): number {
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return Number.NaN
  let below = 0
  for (const [at, count] of counts.entries()) {
    if (below + count >= share * total && count > 0) {
      const high = bounds[at]
      if (high === undefined) return Infinity
      const low = at === 0 ? 0 : bounds[at - 1]!
      return low + ((high - low) * (share * total - below)) / count
    }
    below += count
  }
  return Infinity
}

const heading = ['service', 'side', 'req/s', 'failed', 'p50 ms', 'p99 ms'] as const

function cells({ failedShare, p50, p99, perSecond, service, side }: TopRow): string[] {
  const ms = (value: number): string =>
    Number.isNaN(value) ? '-' : Number.isFinite(value) ? value.toFixed(value < 10 ? 1 : 0) : 'over'
  const share = failedShare === 0 ? '0' : `${(failedShare * 100).toFixed(failedShare < 0.1 ? 1 : 0)} %`
  return [service, side, perSecond.toFixed(perSecond < 10 ? 1 : 0), share, ms(p50), ms(p99)]
}

function headLine(look: TrafficLook): string {
  const lost = look.registries.filter(({ connected }) => !connected).map(({ name }) => name)
  const registries = lost.length === 0 ? `${look.registries.length} registries` : `registry ${lost.join(', ')} is lost`
  return `${look.host}  tier ${look.tier}  generation ${look.generation}${look.generations > 1 ? ' (another one drains)' : ''}  ${look.workers} workers  ${look.restarts} restarts kept  ${look.connections} connections  ${registries}`
}

function printTop(output: Output, look: TrafficLook, rows: readonly TopRow[]): void {
  output.line(headLine(look))
  output.table(heading, rows.map(cells))
}

/** At most `screen.rows` lines of at most `screen.columns` characters. */
export function drawTop(
  output: Output,
  look: TrafficLook,
  rows: readonly TopRow[],
  problem: string,
  given: Partial<Screen>,
): string[] {
  const columns = given.columns ?? smallest.columns
  const height = given.rows ?? smallest.rows
  const cut = (text: string): string => (text.length <= columns ? text : `${text.slice(0, columns - 1)}…`)
  const table = rows.map(cells)
  const widths = heading.map((title, at) => Math.max(title.length, ...table.map((row) => row[at]!.length)))
  const line = (row: readonly string[]): string =>
    cut(row.map((cell, at) => (at < 2 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join('  '))
  const isBad = look.tier !== 'agent' || look.registries.some(({ connected }) => !connected)
  const head = [output.style(isBad ? 'yellow' : 'bold', cut(headLine(look))), '', output.style('bold', line(heading))]
  const foot = [problem === '' ? `${output.style('cyan', 'q')} quit` : output.style('red', cut(problem))]
  const room = Math.max(0, height - head.length - foot.length)
  const body = table
    .slice(0, room)
    .map((row, at) => (rows[at]!.failedShare > 0 ? output.style('red', line(row)) : line(row)))
  return [...head, ...body, ...foot].slice(0, height)
}
