/**
 * The kernel's table of TCP sockets as text (/proc/net/tcp, /proc/net/tcp6; proc_pid_net(5)): the owner of one end of a
 * connection where the kernel cannot be asked for it alone. Reading it costs time for every socket of the host.
 */
import { parseIpv6 } from '../contracts/ip-literal.ts'
import { connectedStates, listenState } from './tcp-states.ts'
import type { SocketAddress } from './socket-owner.ts'

export const socketTables = ['/proc/net/tcp', '/proc/net/tcp6'] as const

/**
 * User id of the connected socket at `local` whose peer is `remote`, by these tables; undefined when it is in none, is
 * not connected, or has no owner any more.
 */
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

/**
 * User id of the socket that would take a connection to this address, by these tables; undefined when nobody listens
 * there. The most specific one counts, as for the kernel.
 */
export function listenerUidInTables(tables: readonly string[], { address, port }: SocketAddress): number | undefined {
  const isV6 = address.includes(':')
  const exact = isV6 ? v6Hex(address) : hexAddress(address)
  const at = `:${port.toString(16).toUpperCase().padStart(4, '0')} `
  const locals = isV6 ? [exact, '0'.repeat(32)] : [exact, mappedPrefix + exact, '00000000', '0'.repeat(32)]
  for (const local of locals) {
    for (const table of tables) {
      const start = table.indexOf(`: ${local}${at}`)
      if (start < 0) continue
      const end = table.indexOf('\n', start)
      const columns = table
        .slice(start + 2, end < 0 ? undefined : end)
        .trim()
        .split(/\s+/)
      if (!listenState.has(Number.parseInt(columns[2] ?? '', 16))) continue
      const uid = Number(columns[6])
      if (Number.isInteger(uid)) return uid
    }
  }
  return undefined
}

/**
 * Both ends as the kernel prints them: IPv4 also as programs see it that use IPv6 sockets for everything (Java does).
 */
function spellings(local: SocketAddress, remote: SocketAddress): [string, string][] {
  const ends = [local, remote].map(({ address, port }) => ({
    address: address.includes(':') ? v6Hex(address) : hexAddress(address),
    port: port.toString(16).toUpperCase().padStart(4, '0'),
  }))
  const [from, to] = ends.map(({ address, port }) => `${address}:${port}`)
  if (from === undefined || to === undefined) return []
  if (local.address.includes(':')) return [[from, to]]
  return [
    [from, to],
    [mappedPrefix + from, mappedPrefix + to],
  ]
}

const mappedPrefix = '0000000000000000FFFF0000'

/** Four words, each with its last byte first. */
function v6Hex(address: string): string {
  const bytes = parseIpv6(address)
  if (bytes === undefined) return ''
  return Buffer.from(bytes).swap32().toString('hex').toUpperCase()
}

/** The hexadecimal of an IPv4 address's four bytes, last byte first. */
export function hexAddress(address: string): string {
  return address
    .split('.')
    .reverse()
    .map((part) => Number(part).toString(16).toUpperCase().padStart(2, '0'))
    .join('')
}
