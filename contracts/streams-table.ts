/** How requests in flight stand in a table: the same for the admin interface's page and for the command. */
import { callerCells, callerHeading } from './connection-table.ts'
import type { StreamRow } from './live-view.ts'

export const streamHeading: readonly string[] = [...callerHeading, 'request', 'endpoint', 'state', 'age', 'carried']

export function streamCells(row: StreamRow): string[] {
  return [
    ...callerCells(row),
    `${row.method} ${row.path}`,
    row.upstream,
    row.state,
    `${Math.round(row.ageMs / 1000)} s`,
    carried(row),
  ]
}

function carried({ bytesDown, bytesUp, messagesDown, messagesUp }: StreamRow): string {
  const bytes = `${bytesUp} B up, ${bytesDown} B down`
  return messagesUp === undefined ? bytes : `${messagesUp} messages up, ${messagesDown ?? 0} down; ${bytes}`
}
