/** `hostmesh connections`: live connections of callers; follows them, and ends those that are named. */
import { MeshError } from '../../contracts/errors.ts'
import type { ConnectionRow } from '../../contracts/live-view.ts'
import { adminJson } from '../admin-client.ts'
import type { CommandContext } from '../context.ts'
import { type ExitCode, exitCodes } from '../exit-codes.ts'
import type { Output } from '../output.ts'
import { pause, untilStopped } from '../terminal/stoppable.ts'

export interface ConnectionsCall {
  readonly listener: string | undefined
  readonly protocol: string | undefined
  readonly peer: string | undefined
}

interface Answer {
  readonly connections: readonly ConnectionRow[]
  readonly total: number
  readonly problems: readonly string[]
}

const askEveryMs = 1000

const filterOf = (call: ConnectionsCall): Record<string, string> =>
  Object.fromEntries(
    Object.entries({ listener: call.listener, protocol: call.protocol, peer: call.peer }).filter(
      (entry): entry is [string, string] => entry[1] !== undefined,
    ),
  )

function pathOf(call: ConnectionsCall): string {
  return `/connections?${new URLSearchParams({ format: 'json', ...filterOf(call) }).toString()}`
}

export async function listConnections({ admin, output }: CommandContext, call: ConnectionsCall): Promise<ExitCode> {
  const answer = (await adminJson(admin, pathOf(call))) as Answer
  if (output.isJson) output.json(answer)
  else {
    output.table(heading, answer.connections.map(cells))
    if (answer.total > answer.connections.length)
      output.line(`${answer.connections.length} of ${answer.total}; narrow the filters to see the others`)
  }
  for (const problem of answer.problems) output.problem(problem)
  return exitCodes.ok
}

/** One line for each that opens or closes, seen once a second: what lives shorter is not seen. */
export async function followConnections({ admin, output }: CommandContext, call: ConnectionsCall): Promise<ExitCode> {
  return untilStopped(async (stop) => {
    let known: ReadonlyMap<string, ConnectionRow> | undefined
    while (!stop.aborted) {
      const { connections } = (await adminJson(admin, pathOf(call))) as Answer
      const now = new Map(connections.map((row) => [row.id, row]))
      if (known !== undefined) {
        for (const [id, row] of known) if (!now.has(id)) printChange(output, 'closed', row)
        for (const [id, row] of now) if (!known.has(id)) printChange(output, 'opened', row)
      } else for (const row of connections) printChange(output, 'open', row)
      known = now
      await pause(askEveryMs, stop)
    }
    return exitCodes.ok
  })
}

export async function closeConnections(
  { admin, output }: CommandContext,
  ids: readonly string[],
  call: ConnectionsCall & { readonly cut: boolean },
): Promise<ExitCode> {
  const order = { ...filterOf(call), ...(ids.length === 0 ? {} : { ids }), how: call.cut ? 'cut' : 'end' }
  const reply = await admin.post('/connections/close', order)
  if (reply.status !== 200)
    throw new MeshError(
      'E_ADMIN_REQUEST',
      `${admin.where}/connections/close: status ${reply.status}: ${reply.text.trim()}`,
    )
  const answer = JSON.parse(reply.text) as Answer
  if (output.isJson) output.json(answer)
  else output.line(`${answer.total} connections ${call.cut ? 'were cut' : 'were told to end'}`)
  for (const problem of answer.problems) output.problem(problem)
  return answer.total === 0 ? exitCodes.failed : exitCodes.ok
}

const heading = ['id', 'protocol', 'listener', 'peer', 'application', 'state', 'age', 'carried', 'upstream'] as const

function cells(row: ConnectionRow): string[] {
  const carried =
    row.requests === undefined ? `${row.bytesUp ?? 0}/${row.bytesDown ?? 0} B` : `${row.requests} requests`
  return [
    row.id,
    row.protocol,
    row.listener,
    row.peer,
    row.sourceApp,
    row.isIdle ? 'idle' : 'busy',
    `${Math.round(row.ageMs / 1000)} s`,
    carried,
    row.upstream ?? '-',
  ]
}

function printChange(output: Output, what: string, row: ConnectionRow): void {
  if (output.isJson) output.line(JSON.stringify({ event: what, ...row }))
  else output.line([what, ...cells(row)].join('  '))
}
