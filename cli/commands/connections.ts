/** `hostmesh connections`: live connections of callers; follows them, and ends those that are named. */
import { connectionCells, connectionHeading } from '../../contracts/connection-table.ts'
import type { ConnectionRow } from '../../contracts/live-view.ts'
import type { CommandContext } from '../context.ts'
import type { ExitCode } from '../exit-codes.ts'
import { closeRows, followRows, listRows } from './live-rows.ts'
import type { LiveRows } from './live-rows.ts'

export interface ConnectionsCall {
  readonly listener: string | undefined
  readonly protocol: string | undefined
  readonly peer: string | undefined
}

const rows: LiveRows<ConnectionRow> = {
  path: '/connections',
  key: 'connections',
  heading: connectionHeading,
  cells: connectionCells,
}

export function listConnections(context: CommandContext, call: ConnectionsCall): Promise<ExitCode> {
  return listRows(context, rows, call)
}

/** One line for each that opens or closes, seen once a second: what lives shorter is not seen. */
export function followConnections(context: CommandContext, call: ConnectionsCall): Promise<ExitCode> {
  return followRows(context, rows, call)
}

export function closeConnections(
  context: CommandContext,
  ids: readonly string[],
  { cut, ...call }: ConnectionsCall & { readonly cut: boolean },
): Promise<ExitCode> {
  const done = (total: number): string => `${total} connections ${cut ? 'were cut' : 'were told to end'}`
  return closeRows(context, rows, ids, call, { how: cut ? 'cut' : 'end' }, done)
}
