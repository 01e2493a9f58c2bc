/** How live connections stand in a table: the same for the admin interface's page and for the command. */
import type { ConnectionRow, StreamRow } from './live-view.ts'

/** Of connections and requests alike. */
export const callerHeading: readonly string[] = ['id', 'protocol', 'listener', 'peer', 'application']

export function callerCells({ id, listener, peer, protocol, sourceApp }: ConnectionRow | StreamRow): string[] {
  return [id, protocol, listener, peer, sourceApp]
}

export const connectionHeading: readonly string[] = [...callerHeading, 'state', 'age', 'carried', 'upstream']

export function connectionCells(row: ConnectionRow): string[] {
  return [
    ...callerCells(row),
    row.isIdle ? 'idle' : 'busy',
    `${Math.round(row.ageMs / 1000)} s`,
    carried(row),
    row.upstream ?? '-',
  ]
}

function carried({ bytesDown = 0, bytesUp = 0, requests, streams }: ConnectionRow): string {
  if (requests === undefined) return `${bytesUp} B up, ${bytesDown} B down`
  return streams === undefined ? `${requests} requests` : `${requests} requests, ${streams} open`
}
