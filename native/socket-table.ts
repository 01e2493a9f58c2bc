/**
 * The kernel's table of TCP sockets as text (/proc/net/tcp, /proc/net/tcp6; proc_pid_net(5)): the owner of one end of a connection where the kernel cannot be
 * asked for it alone. Reading it costs time for every socket of the host.
 */
import { connectedStates } from './tcp-states.ts'
import type { SocketAddress } from './socket-owner.ts'

export const socketTables = ['/proc/net/tcp', '/proc/net/tcp6'] as const

/** User id of the connected socket at `local` whose peer is `remote`, by these tables; undefined when it is in none, is not connected, or has no owner any more. */
export function uidInTables(
  tables: readonly string[],
  local: SocketAddress,
  remote: SocketAddress,
): number | undefined {
  for (const [from, to] of spellings(local, remote)) {
    for (const table of tables) {
      const at = table.indexOf(`: ${from} ${to} `)
      if (at < 0) continue
      const end = table.indexOf('\n', at)
      // local, remote, state, tx:rx, tr:when, retransmits, uid, timeout, inode, …
      const columns = table
        .slice(at + 2, end < 0 ? undefined : end)
        .trim()
        .split(/\s+/)
      const [uid, inode] = [Number(columns[6]), Number(columns[8])]
      if (connectedStates.has(Number.parseInt(columns[2] ?? '', 16)) && inode > 0 && Number.isInteger(uid)) return uid
    }
  }
  return undefined
}

/** Both ends as the kernel prints them: IPv4 also as programs see it that use IPv6 sockets for everything (Java does). */
function spellings(local: SocketAddress, remote: SocketAddress): [string, string][] {
  const ends = [local, remote].map(({ address, port }) => ({
    address: address === '::1' ? '00000000000000000000000001000000' : hexAddress(address),
    port: port.toString(16).toUpperCase().padStart(4, '0'),
  }))
  const [from, to] = ends.map(({ address, port }) => `${address}:${port}`)
  if (from === undefined || to === undefined) return []
  if (local.address.includes(':')) return [[from, to]]
  const mapped = '0000000000000000FFFF0000'
  return [
    [from, to],
    [mapped + from, mapped + to],
  ]
}

/** The hexadecimal of an IPv4 address's four bytes, last byte first. */
export function hexAddress(address: string): string {
  return address
    .split('.')
    .reverse()
    .map((part) => Number(part).toString(16).toUpperCase().padStart(2, '0'))
    .join('')
}
