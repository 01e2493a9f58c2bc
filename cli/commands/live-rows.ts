/** What commands about live things (connections, streams) have in common: list, follow, and end those that match. */
import { adminJson, orderJson } from '../admin-client.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Output } from '../output.ts'
import { pause, untilStopped } from '../terminal/stoppable.ts'

export interface LiveRow {
  readonly id: string
}

/** One kind of live thing. */
export interface LiveRows<Row extends LiveRow> {
  /** Of the admin interface. */
  readonly path: string
  /** Where the rows stand in its answer. */
  readonly key: string
  readonly heading: readonly string[]
  readonly cells: (row: Row) => string[]
}

/** What was said to choose some; undefined matches everything. */
export type LiveFilter = object

interface Answer<Row> {
  readonly rows: readonly Row[]
  readonly total: number
  readonly problems: readonly string[]
}

const askEveryMs = 1000
const partly = 'there are more than are listed; narrow the filters to see what opens and closes'

const given = (filter: LiveFilter): Record<string, string | number> =>
  Object.fromEntries(
    Object.entries(filter).filter((entry): entry is [string, string | number] => entry[1] !== undefined),
  )

function read<Row extends LiveRow>({ key }: LiveRows<Row>, answer: unknown): Answer<Row> {
  const { problems, total, ...rest } = answer as { problems: string[]; total: number } & Record<string, Row[]>
  return { rows: rest[key]!, total, problems }
}

async function ask<Row extends LiveRow>(
  { admin }: CommandContext,
  kind: LiveRows<Row>,
  filter: LiveFilter,
): Promise<unknown> {
  const words = Object.entries(given(filter)).map(([name, value]) => [name, String(value)])
  return adminJson(admin, `${kind.path}?${new URLSearchParams([['format', 'json'], ...words]).toString()}`)
}

export async function listRows<Row extends LiveRow>(
  context: CommandContext,
  kind: LiveRows<Row>,
  filter: LiveFilter,
): Promise<ExitCode> {
  const { output } = context
  const answer = await ask(context, kind, filter)
  const { problems, rows, total } = read(kind, answer)
  if (output.isJson) output.json(answer)
  else {
    output.table(kind.heading, rows.map(kind.cells))
    if (total > rows.length) output.line(`${rows.length} of ${total}; narrow the filters to see the others`)
  }
  for (const problem of problems) output.problem(problem)
  return exitCodes.ok
}

/**
 * One line for each that opens or closes, seen once a second: what lives shorter is not seen. Only answers that hold
 * all are compared: what one lacks for a worker that is silent, or for there are more than it lists, is still open.
 */
export async function followRows<Row extends LiveRow>(
  context: CommandContext,
  kind: LiveRows<Row>,
  filter: LiveFilter,
): Promise<ExitCode> {
  const { output } = context
  const print = (what: string, row: Row): void => printChange(output, what, row, kind.cells(row))
  return untilStopped(async (stop) => {
    let known: ReadonlyMap<string, Row> | undefined
    let told: readonly string[] = []
    while (!stop.aborted) {
      const { problems, rows, total } = read(kind, await ask(context, kind, filter))
      const isPart = total > rows.length
      const gaps = isPart ? [...problems, partly] : problems
      for (const gap of gaps) if (!told.includes(gap)) output.problem(gap)
      told = gaps
      if (gaps.length === 0) {
        const now = new Map(rows.map((row) => [row.id, row]))
        for (const [id, row] of known ?? []) if (!now.has(id)) print('closed', row)
        for (const [id, row] of now) if (known?.has(id) !== true) print(known === undefined ? 'open' : 'opened', row)
        known = now
      }
      await pause(askEveryMs, stop)
    }
    return exitCodes.ok
  })
}

/** `more`: what else the order says. Exit code 1 if none matched. */
export async function closeRows<Row extends LiveRow>(
  { admin, output }: CommandContext,
  kind: LiveRows<Row>,
  ids: readonly string[],
  filter: LiveFilter,
  more: Readonly<Record<string, string>>,
  done: (total: number) => string,
): Promise<ExitCode> {
  const path = `${kind.path}/close`
  const answer = await orderJson(admin, path, { ...given(filter), ...(ids.length === 0 ? {} : { ids }), ...more })
  const { problems, total } = read(kind, answer)
  if (output.isJson) output.json(answer)
  else output.line(done(total))
  for (const problem of problems) output.problem(problem)
  return total === 0 ? exitCodes.failed : exitCodes.ok
}

function printChange(output: Output, what: string, row: LiveRow, cells: readonly string[]): void {
  if (output.isJson) output.line(JSON.stringify({ event: what, ...row }))
  else output.line([what, ...cells].join('  '))
}
