/** `hostmesh top`: a live view of what this host serves, out of two looks at its counters. */
import { adminJson } from '../admin-client.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import { FullScreen } from '../terminal/full-screen.ts'
import { pause, untilStopped } from '../terminal/stoppable.ts'
import { sortKeys, sortRows, topRows } from './top-rows.ts'
import type { SortColumn, TopRow, TrafficLook } from './top-rows.ts'
import { drawTop, printTop } from './top-screen.ts'

export interface TopCall {
  readonly intervalMs: number
  /** One table and out. */
  readonly once: boolean
  readonly sort: SortColumn
}

interface Seen {
  readonly now: TrafficLook
  readonly rows: readonly TopRow[]
}

const columnOf: ReadonlyMap<string, SortColumn> = new Map(
  Object.entries(sortKeys).map(([column, key]) => [key, column as SortColumn]),
)
const interrupt = '\u0003'

export async function top(context: CommandContext, call: TopCall): Promise<ExitCode> {
  const { admin, output } = context
  const look = async (): Promise<TrafficLook> => (await adminJson(admin, '/traffic')) as TrafficLook
  let before = await look()
  let beforeAt = performance.now()
  const rowsNow = async (): Promise<Seen> => {
    const now = await look()
    const at = performance.now()
    const rows = topRows(before, now, (at - beforeAt) / 1000)
    before = now
    beforeAt = at
    return { now, rows }
  }
  if (!call.once && !output.isJson && output.isTerminal && process.stdin.isTTY)
    return onScreen(context, call, { now: before, rows: topRows(before, before, 1) }, rowsNow)
  return untilStopped(async (stop) => {
    do {
      await pause(call.intervalMs, stop)
      if (stop.aborted) break
      const { now, rows } = await rowsNow()
      const sorted = sortRows(rows, call.sort)
      if (output.isJson) output.json({ ...headOf(now), services: sorted })
      else printTop(output, now, sorted)
    } while (!call.once && !stop.aborted)
    return exitCodes.ok
  })
}

/** Until `q`, Ctrl-C or a signal; what is there is drawn anew at once for a key and for another size. */
function onScreen(
  { output }: CommandContext,
  { intervalMs, sort }: TopCall,
  first: Seen,
  next: () => Promise<Seen>,
): Promise<ExitCode> {
  return untilStopped(async (stop) => {
    const leave = new AbortController()
    stop.addEventListener('abort', () => leave.abort())
    let seen = first
    let sortedBy = sort
    let problem = ''
    const draw = (): void => {
      const rows = sortRows(seen.rows, sortedBy)
      screen.show(drawTop(output, { look: seen.now, rows, sortedBy, problem }, screen.size))
    }
    const onKey = (key: string): void => {
      if (key === 'q' || key === interrupt) leave.abort()
      const column = columnOf.get(key)
      if (column === undefined) return
      sortedBy = column
      draw()
    }
    const screen = new FullScreen(process.stdin, process.stdout, onKey, draw)
    try {
      while (!leave.signal.aborted) {
        draw()
        await pause(intervalMs, leave.signal)
        if (leave.signal.aborted) break
        try {
          seen = await next()
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
